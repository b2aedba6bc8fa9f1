"""Events that are appended together with those of a model call: its turn, and those of a joint append."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, TypeVar

from domain.content import Content
from domain.events import Event
from domain.ledger import Change, PendingAppend, no_callback

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Companion:
    """The decision on another stream in the same append: its new events, given its existing ones.

    `texts` are those that the new events name and that are not stored yet.
    """

    stream: str
    decide: Callable[[Sequence[Event]], list[Event]]
    texts: tuple[Content, ...] = ()


@dataclass(frozen=True, slots=True)
class JointChanges:
    """Changes of other streams and texts to append with a call's events; `appended` is called once they are."""

    changes: Sequence[Change] = ()
    texts: Sequence[Content] = ()
    underway: PendingAppend | None = None
    appended: Callable[[], None] = no_callback


class JointAppend(Protocol):
    """Further events of a model call. Decided for each try to append; `fresh` after a version conflict."""

    def gate(self) -> AbstractContextManager[object]:
        """Return the context in which to decide and append."""
        ...

    def reservation_changes(self, *, fresh: bool) -> JointChanges:
        """Return the changes to append with a reservation."""
        ...

    def settlement_changes(self, turn: Sequence[Event], text: str, *, fresh: bool) -> JointChanges:
        """Return the changes to append with a settlement that adds these events, and this text, to the turn.

        It must not fail: the reply is paid for, and an error here would keep it from being recorded.
        """
        ...


class NoJointAppend:
    """The null object: a call without further events."""

    def gate(self) -> AbstractContextManager[object]:
        return nullcontext()

    def reservation_changes(self, *, fresh: bool) -> JointChanges:  # noqa: ARG002  (as the protocol has it)
        return _NO_CHANGES

    def settlement_changes(self, turn: Sequence[Event], text: str, *, fresh: bool) -> JointChanges:  # noqa: ARG002  (as the protocol has it)
        return _NO_CHANGES


NO_JOINT_APPEND = NoJointAppend()
_NO_CHANGES = JointChanges()


def with_gate(beside: JointAppend, write: Callable[[], T]) -> Callable[[], T]:
    """Wrap a command so that it runs inside the gate, which excludes other threads of this process."""

    def write_in_gate() -> T:
        with beside.gate():
            return write()

    return write_in_gate
