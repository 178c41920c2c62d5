"""The key holder: deploys the operator's chats, and again whenever the gateway has lost them.

Each *.json of the folder CHATS is one deploy request and its "provider". Every few seconds the
files are compared with GET /models: what is missing there, says NEED_KEY, or was deployed before
its file last changed, is deployed. So a switch by hand stands until the file is edited, and nothing
need be remembered: this may be killed at any time.

Under systemd the files belong to root, and are read as credentials (LoadCredential=chats:...),
which systemd copies once, at the start: when a file changes, this ends, and is started anew with
what stands there now.
"""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from itertools import groupby
from pathlib import Path
from typing import Any

LOOK_SECONDS = 2
WAIT_SECONDS = 0.5
"""How often it looks whether a gateway is back that could serve nobody: until then its chats say
NEED_KEY."""

AT_ONCE = 4
"""So many deploys together: most of a deploy's time is the start of a process."""

LONGEST_PAUSE_SECONDS = 60
"""A deploy that fails is tried again after 2, 4, 8 ... seconds, and then this often."""

CLOCKS_SECONDS = 3600
"""So far the cluster's clock may be ahead of ours."""

CALL_SECONDS = 30
DEPLOY_SECONDS = 180
"""Longer than the gateway itself gives to a deploy."""

TASK = "task"
"""The provider of a prompt, which has no key: what its row in GET /models needs, another chat
needs."""

NOT_THE_FILES_FAULT = {"CLUSTER_DOWN", "GATEWAY_BUSY", "UNAUTHORIZED", "FORBIDDEN"}


class UnusableError(Exception):
    """A file that cannot be deployed; the text says why and what to do."""


class ChangedError(Exception):
    """A file is newer than the copy that systemd made of it."""


class RefusedError(Exception):
    """The gateway said no: its code and message."""


class UnreachableError(Exception):
    """No gateway answers, or it cannot serve anyone now."""


@dataclass(frozen=True, slots=True)
class Chat:
    """A file's contents. `changed` is when the file last changed or was put there, in seconds since
    1970."""

    name: str
    provider: str
    request: Mapping[str, Any]
    fallback: tuple[str, ...]
    changed: float


class Folder:
    """The operator's files."""

    def __init__(self, path: Path, credentials: Path | None) -> None:
        self._path = path
        self._credentials = credentials
        self._started = time.time()
        self._seen: dict[str, float] = {}

    def chats(self) -> tuple[list[Chat], dict[str, str]]:
        """The chats, and what is wrong with the other files, by path. Raises OSError (no folder)
        and ChangedError."""
        chats: dict[str, Chat] = {}
        wrong: dict[str, str] = {}
        for path in sorted(self._path.iterdir()):
            if path.suffix != ".json" or path.name.startswith("."):
                continue
            try:
                chat = self._read(path)
                if chat.name in chats:
                    raise UnusableError(
                        f"another file deploys {chat.name} already; remove one of them"
                    )
                chats[chat.name] = chat
            except FileNotFoundError:
                continue  # taken away since
            except OSError as error:
                wrong[str(path)] = (
                    f"cannot be read ({error.strerror}): it must belong to the key holder's user"
                )
            except UnusableError as error:
                wrong[str(path)] = str(error)
        return list(chats.values()), wrong

    def _read(self, path: Path) -> Chat:
        found = path.stat()
        # what root lets a group read is root's own choice, as with a secret of Kubernetes
        others = stat.S_IWGRP | stat.S_IRWXO if found.st_uid == 0 else stat.S_IRWXG | stat.S_IRWXO
        if found.st_mode & others:
            raise UnusableError(f"others can reach the key in it: chmod 600 {path}")
        # ctime, since mv and cp -p bring old mtimes along, and a clock elsewhere may have been
        # wrong.
        return _parse(self._contents(path, found.st_ctime), found.st_ctime)

    def _contents(self, path: Path, changed: float) -> bytes:
        if self._credentials is None:
            return path.read_bytes()
        copy = self._credentials / f"chats_{path.name}"
        # A time to come is of a clock that was wrong: then the copy is old if the file has changed
        # since this start, when systemd made it.
        seen = self._seen.setdefault(path.name, changed)
        try:
            if copy.stat().st_mtime >= changed or seen == changed > self._started:
                return copy.read_bytes()
        except FileNotFoundError:
            pass  # it is new
        raise ChangedError(path)


class Gateway:
    """The gateway's HTTP calls, with an admin's token if it needs one."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        # No proxy variable may send a key elsewhere.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def models(self) -> dict[str, dict[str, Any]]:
        """Every chat by name, once the cluster answers. Raises RefusedError and
        UnreachableError."""
        self._call("/readyz")
        reply = self._call("/models")
        try:
            return {row["chat_name"]: row for row in reply["models"]}
        except (KeyError, TypeError):
            raise UnreachableError(f"{self.url}/models: this is not the gateway's reply") from None

    def deploy(self, chat: Chat, chain: bool) -> None:
        """Deploy a chat, with its chain or without. Raises RefusedError and UnreachableError."""
        request = dict(chat.request)
        if not chain:
            request.pop("fallback", None)
        self._call(f"/{chat.provider}/deploy", request)

    def set_chain(self, chat: Chat) -> None:
        """Give a chat its chain. Raises RefusedError and UnreachableError."""
        self._call(
            f"/{chat.provider}/fallback", {"chat_name": chat.name, "fallback": list(chat.fallback)}
        )

    def _call(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, self._headers)
        try:
            with self._opener.open(
                request, timeout=CALL_SECONDS if body is None else DEPLOY_SECONDS
            ) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            code, message = _error(error)
            if code in NOT_THE_FILES_FAULT:
                raise UnreachableError(f"{code}: {message}") from None
            raise RefusedError(f"{code}: {message}") from None
        except (OSError, ValueError, HTTPException) as error:
            raise UnreachableError(
                f"no gateway answers at {self.url} ({type(error).__name__})"
            ) from None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a file's deploy failed, and when (time.monotonic) it is tried again."""

    why: str
    pause: float
    until: float


class KeyHolder:
    """Compares and deploys, a round at a time. What it keeps only spares repetitions."""

    def __init__(self, folder: Folder, gateway: Gateway) -> None:
        self._folder = folder
        self._gateway = gateway
        self._state = ""
        self._wrong: dict[str, str] = {}
        # by chat, version of its file, and whether it was deployed or given its chain
        self._failures: dict[tuple[str, float, bool], Failure] = {}
        # which version of the file; the cluster's clock may differ from ours
        self._deployed: dict[str, float] = {}
        self._pool = ThreadPoolExecutor(AT_ONCE)

    def look(self) -> float:
        """One round; what goes wrong is said once. Returns the seconds to the next one. Raises
        ChangedError."""
        try:
            chats, wrong = self._folder.chats()
        except OSError as error:
            chats, wrong = [], {str(error.filename): f"cannot be read: {error.strerror}"}
        for path, why in wrong.items():
            if self._wrong.get(path) != why:
                say(f"{path}: {why}.")
        self._wrong = wrong
        try:
            self._compare(chats, self._gateway.models())
        except (UnreachableError, RefusedError) as error:
            self._now(f"Waiting for the gateway: {error}")
            self._failures.clear()  # when it is back, no chat shall wait for an old pause to end
            return WAIT_SECONDS
        return LOOK_SECONDS

    def _compare(self, chats: list[Chat], there: dict[str, dict[str, Any]]) -> None:
        self._now(f"The gateway answers at {self._gateway.url}.")
        known = set(there)
        # Those that others stand in for come first; those that failed hold nobody up.
        for _, together in groupby(sorted(chats, key=self._turn), self._turn):
            list(self._pool.map(lambda one: self._tend(one, there.get(one.name), known), together))

    def _turn(self, chat: Chat) -> tuple[float, bool, bool]:
        # a task is answered by another chat
        return self._failure(chat).pause, chat.provider == TASK, bool(chat.fallback)

    def _tend(self, chat: Chat, row: dict[str, Any] | None, known: set[str]) -> None:
        """Deploy a chat or give it its chain, if it is time. Raises UnreachableError."""
        due = self._is_due(chat, row)
        if not due and not _lacks_its_chain(chat, row):
            return
        if self._failure(chat, due).until > time.monotonic():
            return
        try:
            self._deploy(chat, known) if due else self._chain(chat)
            self._failures.pop((chat.name, chat.changed, due), None)
        except RefusedError as error:
            self._put_off(chat, due, str(error))

    def _is_due(self, chat: Chat, row: dict[str, Any] | None) -> bool:
        if row is None or (row.get("state") == "need_key" and chat.provider != TASK):
            return True
        created = row.get("created", chat.changed)
        # one that is hours ahead was told by a clock that was wrong, and tells nothing
        newer = chat.changed > created or created > time.time() + CLOCKS_SECONDS
        return newer and self._deployed.get(chat.name) != chat.changed

    def _deploy(self, chat: Chat, known: set[str]) -> None:
        # A chat answers at once, though its stand-ins are not there yet: two may stand in for each
        # other.
        whole = known.issuperset(chat.fallback)
        self._gateway.deploy(chat, whole)
        known.add(chat.name)
        self._deployed[chat.name] = chat.changed
        still = "" if whole else ", for now without its fallback"
        say(f"{chat.name}: deployed at {chat.provider}{still}.")

    def _chain(self, chat: Chat) -> None:
        self._gateway.set_chain(chat)
        say(f"{chat.name}: its fallback is {', '.join(chat.fallback)}.")

    def _failure(self, chat: Chat, due: bool = True) -> Failure:
        return self._failures.get((chat.name, chat.changed, due), Failure("", 0, 0))

    def _put_off(self, chat: Chat, due: bool, why: str) -> None:
        if key := str(chat.request.get("api_key", "")):
            why = why.replace(key, "[key]")
        before = self._failure(chat, due)
        if why != before.why:
            say(f"{chat.name}: {why}")
        pause = min(max(LOOK_SECONDS, before.pause * 2), LONGEST_PAUSE_SECONDS)
        self._failures[chat.name, chat.changed, due] = Failure(why, pause, time.monotonic() + pause)

    def _now(self, state: str) -> None:
        if state != self._state:
            say(state)
        self._state = state


def main() -> None:
    """Look every `LOOK_SECONDS` until SIGTERM."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # at once: nothing is lost in the middle of a call
        signal.signal(number, lambda *_: os._exit(0))
    environment = os.environ
    credentials = environment.get("CREDENTIALS_DIRECTORY")
    folder = Folder(
        Path(environment.get("CHATS") or "/etc/byzer-gateway/chats"),
        Path(credentials) if credentials else None,
    )
    holder = KeyHolder(folder, Gateway(_url(environment), _token(environment)))
    while True:
        try:
            seconds = holder.look()
        except ChangedError as changed:
            say(f"{changed} has changed: starting anew to read it.")
            return
        time.sleep(seconds)


def say(words: str) -> None:
    print(words, flush=True)


def _parse(contents: bytes, changed: float) -> Chat:
    try:
        request = json.loads(contents)
    except ValueError as error:
        # Not str(error) of every kind: one that quotes the contents would quote the key.
        where = (
            f" (line {error.lineno}: {error.msg})"
            if isinstance(error, json.JSONDecodeError)
            else ""
        )
        raise UnusableError(f"is no JSON{where}") from None
    if not isinstance(request, dict):
        raise UnusableError("must hold one JSON object")
    provider, name = request.pop("provider", ""), request.get("chat_name", "")
    if not isinstance(provider, str) or not re.fullmatch(r"[a-z0-9_-]+", provider):
        raise UnusableError(
            '"provider" must be openai, zhipu, tongwen, local or another that the gateway has'
        )
    if not isinstance(name, str) or not name:
        raise UnusableError('"chat_name" is missing')
    return Chat(name, provider, request, _names(request.get("fallback")), changed)


def _lacks_its_chain(chat: Chat, row: Mapping[str, Any] | None) -> bool:
    """Return whether a chat was deployed without its chain, maybe by a process before this one. So
    a chain that is emptied by hand is filled again; any other stands."""
    return bool(chat.fallback and chat.provider != TASK and row and not row.get("fallback"))


def _names(fallback: object) -> tuple[str, ...]:
    names = fallback.split(",") if isinstance(fallback, str) else fallback
    names = names if isinstance(names, list) else []
    return tuple(str(name).strip() for name in names if str(name).strip())


def _error(error: urllib.error.HTTPError) -> tuple[str, str]:
    try:
        said = json.load(error)["error"]
        return str(said["code"]), str(said["message"])
    except (OSError, ValueError, KeyError, TypeError, HTTPException):
        code = "UNAUTHORIZED" if error.code in (401, 403) else f"HTTP {error.code}"
        return code, "this is not the gateway's reply"


def _url(environment: Mapping[str, str]) -> str:
    """GATEWAY_URL, or where GATEWAY_BIND lets the gateway on this machine listen."""
    if url := environment.get("GATEWAY_URL", "").strip():
        return url.rstrip("/")
    bind = environment.get("GATEWAY_BIND", "").strip() or "127.0.0.1:8099"
    host, _, port = bind.rpartition(":")
    return f"http://{'127.0.0.1' if host in ('', '0.0.0.0', '[::]') else host}:{port}"


def _token(environment: Mapping[str, str]) -> str:
    if path := environment.get("GATEWAY_TOKEN_FILE", "").strip():
        try:
            return Path(path).read_text().strip()
        except (OSError, ValueError) as error:
            raise SystemExit(
                f"GATEWAY_TOKEN_FILE: cannot read {path}: {type(error).__name__}."
            ) from None
    return environment.get("GATEWAY_TOKEN", "").strip()


if __name__ == "__main__":
    main()
