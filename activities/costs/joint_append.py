"""What is written in the same append as the books of a model call: its turn, and whatever else comes of it."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, TypeVar

from domain.content import Content
from domain.events import Event
from domain.ledger import Change, Underway, nobody

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Companion:
    """What is decided for another stream in the same append: its new events, given those it has.

    `texts` are those that the new events name and nobody has stored yet.
    """

    stream: str
    decide: Callable[[Sequence[Event]], list[Event]]
    texts: tuple[Content, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """Changes of other streams and texts that are appended with a call's events; `appended` is told that they were."""

    changes: Sequence[Change] = ()
    texts: Sequence[Content] = ()
    underway: Underway | None = None
    appended: Callable[[], None] = nobody


class Beside(Protocol):
    """What else comes of a call: decided for each try to append it, and with `fresh` anew because others came first."""

    def gate(self) -> AbstractContextManager[object]:
        """Entered while it is decided and appended."""
        ...

    def begun(self, *, fresh: bool) -> Written:
        """What a reservation brings about."""
        ...

    def ended(self, turn: Sequence[Event], text: str, *, fresh: bool) -> Written:
        """What a settlement brings about that adds these events to the turn, with this text. It must not fail."""
        ...


class Alone:
    """Nothing else comes of a call."""

    def gate(self) -> AbstractContextManager[object]:
        return nullcontext()

    def begun(self, *, fresh: bool) -> Written:  # noqa: ARG002  (as the protocol has it)
        return _NOTHING

    def ended(self, turn: Sequence[Event], text: str, *, fresh: bool) -> Written:  # noqa: ARG002  (as the protocol has it)
        return _NOTHING


ALONE = Alone()
_NOTHING = Written()


def inside(beside: Beside, write: Callable[[], T]) -> Callable[[], T]:
    """A command that runs while nobody else in this process moves what is written beside it."""

    def guarded() -> T:
        with beside.gate():
            return write()

    return guarded
