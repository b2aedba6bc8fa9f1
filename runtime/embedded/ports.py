"""Allocation of ports to servers."""

import os
import socket
import sys
import weakref

_LOOPBACK = "127.0.0.1"


class Ports:
    """Allocates ports, each once, and keeps them from other supervisors for as long as this object lives.

    Two supervisors that start at the same moment would both find a default port free. So each first takes a name for
    its port among the abstract sockets: the kernel gives it to one, and releases it when that process dies. And each
    keeps a socket bound to the port, which does not listen: the server that the port is for can still bind to it, now
    and after a restart, but the kernel gives it to no outgoing connection meanwhile.
    """

    def __init__(self) -> None:
        self._held: dict[int, tuple[int, int]] = {}
        weakref.finalize(self, _release, self._held)

    def pick(self, preferred: int = 0, host: str = _LOOPBACK) -> int:
        """Return `preferred` if it is free, else a port that the operating system has free."""
        port = preferred
        while not self.take(port, host):
            port = _free_port()
        return port

    def take(self, port: int, host: str = _LOOPBACK) -> bool:
        """Allocate the port; return True if that succeeded."""
        if port == 0 or port in self._held or (name := _claim_name(port)) is None:
            return False
        if (bound := _bind(port, host)) is None:
            os.close(name)
            return False
        self._held[port] = (name, bound)
        return True


def _claim_name(port: int) -> int | None:
    """Return a descriptor that owns the port's name, None if another process has it."""
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


def _bind(port: int, host: str) -> int | None:
    """Return the descriptor of a socket bound to the port, None if it is in use or not permitted."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    probe = socket.socket(family, socket.SOCK_STREAM)
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what has just been closed is free
    try:
        probe.bind((host, port))
    except OSError:
        probe.close()
        return None
    return probe.detach()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
