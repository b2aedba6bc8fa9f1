"""The answer of an OpenAI-compatible API as it arrives, in one piece or in many.

Nothing here knows of a connection: bytes go in, a reply or a `ModelFailure` comes out.
"""

from adapters.openai.bounds import MAX_BODY_BYTES, MAX_STREAM_BYTES, parse
from adapters.openai.errors import unreadable
from adapters.openai.events import ServerSentEvents
from adapters.openai.partial_answer import JSON_STARTS, PartialAnswer
from domain.chat.model_port import ModelFailure

_BLANKS = b" \t\r\n\xef\xbb\xbf"


class ResponseReader:
    """Reads an answer out of the bytes of its body, whatever its headers call it: events, one JSON text, or lines."""

    def __init__(self, arriving: PartialAnswer) -> None:
        self._arriving = arriving
        self._events = ServerSentEvents()
        self._body: list[bytes] | None = None
        self._start = b""
        self._has_begun = False
        self._size = 0

    def feed(self, received: bytes) -> None:
        """Take what has come.

        Raises:
            ModelFailure: it is an error, cannot be read, or never ends.
        """
        self._size += len(received)
        if self._size > (MAX_STREAM_BYTES if self._body is None else MAX_BODY_BYTES):
            raise unreadable("it does not end")
        if not self._has_begun:
            self._start += received
            begun = self._start.lstrip(_BLANKS)
            if not begun:
                return
            received, self._has_begun = begun, True
            self._body = [] if begun.startswith(JSON_STARTS) else None
        if self._body is None:
            self._take(received)
        else:
            self._body.append(received)

    def _take(self, received: bytes) -> None:
        for data in self._events.feed(received):
            self._arriving.take(data)
            if self._arriving.is_too_long:
                return

    def end(self) -> None:
        """The body has ended: take what its last line holds; without a reason the answer was cut.

        Raises:
            ModelFailure: there is no answer, or a part of one.
        """
        if self._body is not None:
            self._take_body(b"".join(self._body))
        elif not self._arriving.done:
            self._take_rest()
        if self._start.lstrip(_BLANKS).startswith(b"<") and not self._arriving.is_billable:
            raise unreadable("it is a page of the web: check the base URL")
        self._arriving.end()

    def _take_rest(self) -> None:
        for data in self._events.end():
            try:
                self._arriving.take(data)
            except ModelFailure as failed:
                if failed.kind != "unreadable":
                    raise

    def _take_body(self, body: bytes) -> None:
        """A whole completion; or chunks one a line, without the frames of events."""
        try:
            whole = parse(body)
        except ValueError:
            self._arriving.take_all(line for line in body.splitlines() if line.strip())
            return
        self._arriving.take_json(whole)
        if self._arriving.is_billable and self._arriving.finish is None and not self._arriving.done:
            self._arriving.done = True  # it is whole JSON, so nothing of it is missing
