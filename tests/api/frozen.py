"""A system on a Temporal of its own that can stand still, and an API that does not wait long for it."""

import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from domain.errors import Unavailable
from runtime.embedded.ports import Ports
from runtime.embedded.server import run_server as serving
from runtime.embedded.temporal import TemporalServer
from tests.servers import SEARCH_ATTRIBUTES
from tests.system import System

WAITS = {
    "workflows.chat.client.RESPONSE_TIMEOUT_S": 0.5,
    "workflows.chat.client.ACCEPT_TIMEOUT_S": 0.3,
    "workflows.approvals.update_client.ANSWER_TIMEOUT_S": 0.5,
    "workflows.temporal_rpc.CONFIRM_S": 0.5,
}
"""How long the API waits for Temporal here, in seconds."""


class OwnTemporal(TemporalServer):
    """A Temporal of one test module."""

    pid = 0

    def is_ready(self, pid: int) -> bool:
        self.pid = pid
        return super().is_ready(pid)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It stands still for the block, and what is sent to it waits in the kernel's buffers."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)


@contextmanager
def own_temporal(directory: Path) -> Iterator[OwnTemporal]:
    ports = Ports()
    server = OwnTemporal(
        directory, port=ports.pick(), http_port=ports.pick(), ui_port=None, search_attributes=SEARCH_ATTRIBUTES
    )
    with serving(server, directory / "log"):
        yield server


@contextmanager
def impatient() -> Iterator[None]:
    """The API waits as `WAITS` says, for the block: outside of it even a slow machine is to be in time."""
    with pytest.MonkeyPatch.context() as patch:
        for name, seconds in WAITS.items():
            patch.setattr(name, seconds)
        yield


@contextmanager
def words_lost() -> Iterator[None]:
    """Temporal writes down whatever it is handed, and its word for it never comes to an impatient API."""

    @asynccontextmanager
    async def confirmed() -> AsyncIterator[None]:
        yield
        raise Unavailable("Temporal's word was lost", retry_after=1)

    with impatient(), pytest.MonkeyPatch.context() as patch:
        for name in ("start_options", "chat.client", "approvals.update_client"):
            patch.setattr(f"workflows.{name}.confirmed", confirmed)
        yield


def begun(system: System) -> Counter[str]:
    """How often each kind of work has begun, from the ledger's first event on."""
    names = Counter(recorded.event.NAME for recorded in system.parts.ledger.after(0, 100_000))
    return Counter({name: names[name] for name in BEGINNINGS if names[name]})


BEGINNINGS = (
    "chat.turn_started",
    "swarm.requested",
    "graphflow.run_started",
    "graphflow.run_reopened",
    "approval.decided",
    "costs.call_reserved",
)
