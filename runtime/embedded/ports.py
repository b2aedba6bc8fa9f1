"""Which port a server gets."""

import os
import socket
import sys
import weakref

_LOOPBACK = "127.0.0.1"


class Ports:
    """Hands out ports, each once, and keeps them from others of our kind for as long as this object lives.

    Two that start at the same moment would both find a default port free. So each takes a name for its port first, in
    the space of abstract sockets: the kernel gives it to one, and takes it back when that one dies. And each keeps a
    socket bound to the port, which does not listen: the server that the port is for can bind to it all the same, now
    and after a restart, but the kernel gives it to no outgoing connection meanwhile.
    """

    def __init__(self) -> None:
        self._held: dict[int, tuple[int, int]] = {}
        weakref.finalize(self, _release, self._held)

    def pick(self, preferred: int = 0, host: str = _LOOPBACK) -> int:
        """`preferred` when nobody listens there, else one the operating system has free."""
        port = preferred
        while not self.take(port, host):
            port = _from_the_system()
        return port

    def take(self, port: int, host: str = _LOOPBACK) -> bool:
        """Whether the port is ours now."""
        if port == 0 or port in self._held or (name := _named(port)) is None:
            return False
        if (bound := _bound(port, host)) is None:
            os.close(name)
            return False
        self._held[port] = (name, bound)
        return True


def _named(port: int) -> int | None:
    """The descriptor that holds the port's name, None if it is another's."""
    holder = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if sys.platform == "linux":
            holder.bind(f"\0convergio-port-{port}")
    except OSError:
        holder.close()
        return None
    return holder.detach()


def _release(held: dict[int, tuple[int, int]]) -> None:
    for descriptors in held.values():
        for descriptor in descriptors:
            os.close(descriptor)


def _bound(port: int, host: str) -> int | None:
    """The descriptor of a socket that is bound to the port, None if somebody listens there or may not."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    probe = socket.socket(family, socket.SOCK_STREAM)
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what has just been closed is free
    try:
        probe.bind((host, port))
    except OSError:
        probe.close()
        return None
    return probe.detach()


def _from_the_system() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
