"""The changes of keys and tenants, as this process hears of them, and caches that follow them."""

import socket
import time
from collections.abc import Callable, Iterable
from selectors import EVENT_READ, DefaultSelector
from threading import Event as Flag
from threading import Lock, Thread
from typing import Generic, Protocol, TypeVar

import psycopg
import structlog

from adapters.postgres.ledger.pool import Connection, connect
from domain.errors import Unavailable

V = TypeVar("V")

CHANNEL = "access"
"""The channel of PostgreSQL on which a trigger names the stream of each change."""
CURRENT_S = 0.8
"""Seconds for which what is cached may be used after the server was last heard."""
_PING_S = 0.25
_PAUSE_S = 0.2


class _Follower(Protocol):
    def drop(self, stream: str) -> None: ...

    def clear(self) -> None: ...


class AccessChanges:
    """Listens for changes on a connection of its own, which is pinged: only then is silence known to mean no change.

    A broken network says nothing for seconds, and meanwhile a revoked key would be let in.
    """

    def __init__(self, dsn: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._dsn = dsn
        self._clock = clock
        self._current_until = 0.0
        self._followers: list[_Follower] = []
        self._stop = Flag()
        self._waker: socket.socket | None = None
        self._thread: Thread | None = None
        self._log = structlog.get_logger("keys")

    def start(self) -> None:
        """Start listening in a thread. Until the connection is open nothing is current."""
        wakeup, self._waker = socket.socketpair()
        self._thread = Thread(target=self._listen, args=(wakeup,), name="access-changes", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening. From then on nothing is current."""
        self._stop.set()
        if self._waker is not None and self._thread is not None:
            self._waker.close()
            self._thread.join()
        self._current_until = 0.0

    def are_current(self) -> bool:
        """Return true if every change that is older than `CURRENT_S` has been heard."""
        return self._clock() < self._current_until

    def follow(self, cache: _Follower) -> None:
        """Let a cache hear of every change. Not after the start."""
        self._followers.append(cache)

    def _listen(self, wakeup: socket.socket) -> None:
        with wakeup:
            while not self._stop.is_set():
                try:
                    with connect(self._dsn) as connection:
                        self._follow(connection, wakeup)
                except (Unavailable, psycopg.Error) as error:
                    self._current_until = 0.0
                    self._log.warning("cannot listen for changes of keys", error=str(error), retry_in_s=_PAUSE_S)
                    self._stop.wait(_PAUSE_S)

    def _follow(self, connection: Connection, wakeup: socket.socket) -> None:
        connection.add_notify_handler(lambda notice: self._notify(notice.payload))
        connection.execute(f"LISTEN {CHANNEL}")
        for cache in self._followers:  # changes may have been missed while nobody listened
            cache.clear()
        with DefaultSelector() as selector:
            selector.register(connection.fileno(), EVENT_READ)
            selector.register(wakeup, EVENT_READ)
            while not self._stop.is_set():
                asked_at = self._clock()
                connection.execute("SELECT", prepare=True)  # its answer comes after all notices of earlier commits
                self._current_until = asked_at + CURRENT_S
                selector.select(_PING_S)

    def _notify(self, stream: str) -> None:
        for cache in self._followers:
            cache.drop(stream)


class FollowingCache(Generic[V]):
    """At most `size` values by a key, each valid until one of the streams that it was read from changes.

    The oldest gives way. Values are read by the event loop's thread and dropped by the listener's.
    """

    def __init__(self, changes: AccessChanges, size: int) -> None:
        self._changes = changes
        self._size = size
        self._values: dict[bytes, tuple[V, tuple[str, ...]]] = {}
        self._by_stream: dict[str, set[bytes]] = {}
        self._generation = 0
        self._lock = Lock()
        changes.follow(self)

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: bytes) -> V | None:
        """Return the value; None if there is none, or if it may have changed unheard."""
        found = self._values.get(key)
        return found[0] if found is not None and self._changes.are_current() else None

    def generation(self) -> int:
        """Return what is to be passed to `put` with a value that is read from now on."""
        return self._generation

    def put(self, key: bytes, value: V, streams: Iterable[str], generation: int) -> None:
        """Keep a value, unless anything has changed since it was about to be read."""
        with self._lock:
            if generation != self._generation:
                return
            self._remove(key)
            while len(self._values) >= self._size:
                self._remove(next(iter(self._values)))
            self._values[key] = (value, tuple(streams))
            for stream in self._values[key][1]:
                self._by_stream.setdefault(stream, set()).add(key)

    def drop(self, stream: str) -> None:
        """Drop all values that were read from this stream."""
        with self._lock:
            self._generation += 1
            for key in list(self._by_stream.get(stream, ())):
                self._remove(key)

    def clear(self) -> None:
        """Drop all values."""
        with self._lock:
            self._generation += 1
            self._values.clear()
            self._by_stream.clear()

    def _remove(self, key: bytes) -> None:
        _, streams = self._values.pop(key, (None, ()))
        for stream in streams:
            keys = self._by_stream[stream]
            keys.discard(key)
            if not keys:
                del self._by_stream[stream]
