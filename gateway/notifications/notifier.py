"""The thread that tells people: in each gateway process one, of which one of the whole cluster has
its turn at a channel."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from gateway.errors import GatewayError
from gateway.notifications.conditions import Look, look
from gateway.notifications.outbox import Outbox
from gateway.notifications.robots import Verdict
from gateway.notifications.sentences import Letter
from gateway.notify_targets import Target
from gateway.protocol import ChatRow
from gateway.store_protocol import Note, Turn

LOOK_SECONDS = 5

SLOW_SECONDS = 10
"""A look that took longer is thrown away: another process may have its turn by now."""

Board = Callable[[str, dict[str, Note]], Turn]

log = logging.getLogger(__name__)


class Notifier:
    """`board` calls the notice board in the cluster (gateway/actors/notice_board.py), `rows` gives
    GET /models' rows, and `over` the callers over a limit, and over which."""

    def __init__(
        self,
        targets: Sequence[Target],
        lang: str,
        egress_proxy: str,
        board: Board,
        rows: Callable[[], list[ChatRow]],
        over: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._board = board
        self._rows = rows
        self._over = over
        self._process = uuid.uuid4().hex
        self._trouble = ""
        send = partial(_send, egress_proxy)
        self._outboxes = {
            target.digest: Outbox(target, lang, send, self._publish) for target in targets
        }
        self._last: Look | None = None

    def start(self) -> None:
        """Look and tell in the background, if there is anybody to tell."""
        if self._outboxes:
            threading.Thread(target=self._keep_looking, name="notify", daemon=True).start()

    def _keep_looking(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            try:
                self._look()
            except GatewayError as error:  # CLUSTER_DOWN is in the log already
                self._complain(error.code.value if error.code != "CLUSTER_DOWN" else "")
            except Exception as error:  # whatever it is, the next look may be better
                self._complain(type(error).__name__)

    def _look(self) -> None:
        """Tell, where it is this process's turn, what two looks in a row have seen."""
        began = time.monotonic()
        mine = self._show(list(self._outboxes.values()))
        if not mine:
            self._last = None
            return
        now = look(self._rows(), self._over(), time.strftime("%Y-%m-%d"))
        earlier, self._last = self._last, now
        if earlier and time.monotonic() - began < SLOW_SECONDS:
            for outbox in mine:
                outbox.tell(earlier, now)
        self._complain("")

    def _show(self, outboxes: Sequence[Outbox]) -> list[Outbox]:
        """Show the board what is known here, and learn what is known there. Return the outboxes
        whose turn it is."""
        turn = self._board(self._process, {one.target.digest: one.note() for one in outboxes})
        for digest, note in turn["notes"].items():
            self._outboxes[digest].learn(note)
        return [self._outboxes[digest] for digest in turn["mine"]]

    def _publish(self, outbox: Outbox) -> None:
        """Show the board at once what a channel has taken; if that fails, the next look does it."""
        try:
            self._show([outbox])
        except Exception as error:
            log.debug("notify: not noted yet: %s", type(error).__name__)

    def _complain(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            log.warning("notify: the chats cannot be looked at: %s", trouble)
        self._trouble = trouble


def _send(egress_proxy: str, target: Target, letter: Letter) -> Verdict:
    """Send a message. Whoever tells nobody anything need not have httpx in memory."""
    from gateway.notifications import delivery

    return delivery.send(target, letter, egress_proxy)
