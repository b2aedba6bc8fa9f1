"""An output stream that never blocks or fails its writer."""

import io
import os
import select
import threading
from datetime import UTC, datetime
from typing import TextIO, cast

_AT_ONCE = 4096
"""Bytes that a writable pipe accepts atomically (PIPE_BUF on Linux)."""
_PATIENCE_MS = 100


class NonBlockingStream(io.TextIOBase):
    """Writes text to a file's descriptor; a text that cannot be written is dropped, and counted.

    A reader that is gone (`| head`) raises an error, and so does a full disk; one that stops reading (a stopped pager,
    a hanging log driver) would block the writer for ever, and all that waits for it: the event loop of the supervisor,
    so all parts that write to it, so the answer to `/health/live`. Such a reader is waited for once, for a tenth of a
    second; from then on whatever it does not accept at once is dropped, until it reads again.
    """

    def __init__(self, file: TextIO | None) -> None:
        """Wrap a file; None stands for a descriptor that was closed before this process started."""
        self._file = file
        self._descriptor = _descriptor(file)
        self._patience_ms = _PATIENCE_MS
        self._lost = 0
        self._is_torn = False
        self._lock = threading.RLock()

    def isatty(self) -> bool:
        return self._file is not None and self._file.isatty()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """Write the text whole, or drop it. Never blocks for more than a tenth of a second, and never raises."""
        with self._lock:
            if self._lost and self._put(_loss_event(self._lost)):
                self._lost = 0
            if self._lost or not self._put(text):
                self._lost += 1
        return len(text)

    def flush(self) -> None:
        """Do nothing: writes are not buffered."""

    def _put(self, text: str) -> bool:
        data = text.encode("utf-8", "backslashreplace")
        if self._is_torn:
            data = b"\n" + data
        for start in range(0, len(data), _AT_ONCE):
            if not self._put_piece(data[start : start + _AT_ONCE]):
                self._is_torn = self._is_torn or start > 0
                return False
        self._is_torn = False
        return True

    def _put_piece(self, piece: bytes) -> bool:
        if self._descriptor is None:
            return False
        try:
            written = os.write(self._descriptor, piece) if self._is_writable(self._descriptor) else 0
        except OSError:
            return False
        self._is_torn = 0 < written < len(piece)
        return written == len(piece)

    def _is_writable(self, descriptor: int) -> bool:
        """Return True if a piece can be written without blocking: files always, pipes and terminals with room."""
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        ready = bool(poll.poll(self._patience_ms))
        self._patience_ms = _PATIENCE_MS if ready else 0
        return ready


def make_non_blocking(file: TextIO | None) -> TextIO:
    """Return the file as a steady stream, for code that writes text and flushes."""
    return cast("TextIO", NonBlockingStream(file))


def _loss_event(lost: int) -> str:
    at = datetime.now(UTC).isoformat()
    return f'{{"event":"log lines were lost","lost":{lost},"level":"warning","timestamp":"{at}"}}\n'


def _descriptor(file: TextIO | None) -> int | None:
    try:
        return None if file is None else file.fileno()
    except (OSError, ValueError):  # a stand-in without a descriptor, or closed
        return None
