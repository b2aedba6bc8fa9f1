"""Server-sent events out of bytes, as tolerant of their sender as the clients in use are."""

from collections.abc import Iterator

from adapters.openai.bounds import MAX_EVENT_BYTES, parse
from adapters.openai.errors import unreadable

DONE = b"[DONE]"
_BOM = b"\xef\xbb\xbf"


class ServerSentEvents:
    """Cuts a byte stream into the data of its server-sent events, wherever the network cut it.

    Events of several data lines are joined unless the first of them is whole by itself: some gateways leave out
    the blank line between two events. A bare `error:` line, or data under `event: error`, comes as an error object.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._held = 0
        self._is_error = False
        self._begun = False

    def feed(self, received: bytes) -> Iterator[bytes]:
        lines = (self._rest + received).splitlines(keepends=True)
        # a carriage return at the very end may be half of a line's end
        self._rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        if len(self._rest) + self._held > MAX_EVENT_BYTES:
            raise unreadable("one event is larger than 4 MiB")
        for line in lines:
            yield from self._take(line.rstrip(b"\r\n"))

    def end(self) -> Iterator[bytes]:
        """The data of the last event if the stream ended without the blank line that closes it."""
        yield from self._take(self._rest.rstrip(b"\r\n"))
        yield from self._take(b"")

    def _take(self, line: bytes) -> Iterator[bytes]:
        if not self._begun:
            line, self._begun = line.removeprefix(_BOM), True
        if not line:
            yield from self._flush()
            return
        if line.startswith(b"{") and _is_whole(line):  # an error, as a rule, that somebody wrote into the stream
            yield from self._flush()
            yield line
            return
        field, colon, value = line.partition(b":")
        value = value.strip()
        while value.startswith(b"data:"):  # a gateway has put events into events of its own
            value = value.removeprefix(b"data:").strip()
        match field.strip():
            case b"data" if colon and value:
                yield from self._add(value)
            case b"event":
                self._is_error = value == b"error"
            case b"error" if value:
                yield _as_error(value)

    def _add(self, value: bytes) -> Iterator[bytes]:
        """Add a line of data; what stood before it is an event of its own if it is whole."""
        if self._data and (value == DONE or (len(self._data) == 1 and _is_whole(self._data[0]))):
            yield from self._flush()
        self._data.append(value)
        self._held += len(value) + 1

    @property
    def _joined_data(self) -> bytes:
        return self._data[0] if len(self._data) == 1 else b"\n".join(self._data)

    def _flush(self) -> Iterator[bytes]:
        if self._data:
            yield _as_error(self._joined_data) if self._is_error else self._joined_data
        self._data.clear()
        self._held = 0
        self._is_error = False


def _is_whole(data: bytes) -> bool:
    if data == DONE:
        return True
    try:
        parse(data)
    except ValueError:
        return False
    return True


def _as_error(data: bytes) -> bytes:
    """The event as an error object, which it may be already."""
    return data if data.startswith(b"{") and b'"error"' in data else b'{"error":' + _value(data) + b"}"


def _value(data: bytes) -> bytes:
    return data if data.startswith((b"{", b'"')) and _is_whole(data) else b'"the provider sent an error event"'
