"""A stream that a model actor has begun to send."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import orjson

from gateway.byte_budget import Full
from gateway.cluster.answer import Answer
from gateway.cluster.channel import Channel, ChannelError, ClientGone
from gateway.cluster.replicas import failure
from gateway.errors import Code, GatewayError, too_many_bytes
from gateway.frames import AnswerForm, Client, Head, Kind, Request, Usage
from gateway.providers.chunks import unfolded
from gateway.providers.reader import Piece
from gateway.providers.rendering import ForOpenAI
from gateway.providers.usage import guess


class Stream:
    """A stream that has `begun` to speak; `model` is what the provider calls who does. Close it,
    whatever happens.

    Of tokens its `usage` has only a guess until the stream has `ended`, which it has not where its
    client left before. `let_go` is what closing calls: it gives the connection back, and the place.
    """

    def __init__(
        self,
        chat_name: str,
        begun: tuple[Channel, Head],
        client: Client,
        form: AnswerForm,
        question: bytes,
        let_go: Callable[[], None],
    ) -> None:
        self._channel, head = begun
        self.model = head.model
        self.ended = False
        self._chat_name = chat_name
        self._client = client
        self._let_go = let_go
        self._usage = Usage(head.provider, head.seconds).guessed(guess(question), 0)
        self._tokens_in = guess if form == AnswerForm.TEXT else _events
        self._spoken = 0

    @property
    def usage(self) -> Usage:
        """What it has taken so far."""
        return self._usage._replace(guess_out=self._spoken)

    def pieces(self) -> Iterator[bytes]:
        """Yield what comes, as it comes, until the end or until the client has gone. Raises
        GatewayError, with what was taken until then."""
        try:
            yield from self._pieces()
        except GatewayError as error:
            error.usage = self.usage
            raise

    def _pieces(self) -> Iterator[bytes]:
        kind, content = Kind.PIECE, b""
        while kind == Kind.PIECE:
            if content:
                self._spoken += self._tokens_in(content)
                yield content
            try:
                kind, content = self._channel.receive(self._client)
            except ClientGone:
                return
            except Full:
                raise too_many_bytes(self._chat_name) from None
            except (ChannelError, TimeoutError) as error:
                words = "The chat's process in the cluster ended in mid-stream."
                raise GatewayError(Code.CLUSTER_DOWN, words, chat_name=self._chat_name) from error
        if kind == Kind.ERROR:
            raise failure(content, self._chat_name)
        self._usage = self._usage.with_tokens(content)
        self.ended = True

    def close(self) -> None:
        """End it here and at the provider; a stream that has ended already is let go."""
        self._let_go()


def _events(content: bytes) -> int:
    """Return about how many tokens come in events: providers send one in each."""
    return content.count(b"\n\n")


class WholeStream(Stream):
    """An answer that came in one piece, for who asked for a stream: words for the form TEXT, and
    else a whole reply in OpenAI's shape."""

    def __init__(self, answer: Answer, request: Request) -> None:
        self.model = answer.model
        self._usage, self._spoken = answer.usage, answer.usage.guess_out
        self.ended = False
        self._content = answer.content
        if request.form != AnswerForm.TEXT:
            usage = request.form == AnswerForm.EVENTS_AND_USAGE
            show = ForOpenAI(request.path, request.shown, usage)
            pieces = [Piece(chunk, "") for chunk in unfolded(orjson.loads(answer.content))]
            self._content = show.render(pieces) + show.end()

    def pieces(self) -> Iterator[bytes]:
        """Yield the whole."""
        yield self._content
        self.ended = True

    def close(self) -> None:
        """Do nothing: it is over."""
