"""Which port a server gets."""

import socket


class Ports:
    """Hands out ports of the loopback address, each once."""

    def __init__(self) -> None:
        self._given: set[int] = set()

    def pick(self, preferred: int = 0) -> int:
        """`preferred` when nobody listens there, else one the operating system has free."""
        port = preferred if preferred not in self._given and is_free(preferred) else 0
        while port == 0 or port in self._given:
            port = _from_the_system()
        self._given.add(port)
        return port


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether one could listen there now. Port 0 is never free: it means "any"."""
    if port == 0:
        return False
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _from_the_system() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
