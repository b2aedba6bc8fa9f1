"""The read model of ratings: the latest of each rated turn."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, cast

from domain.events import RecordedEvent
from domain.projection import Key, Row, Rows

_RATED = "chat.turn_rated"
"""The event belongs to the chat concept. It is identified here by its stored name, which never changes."""


@dataclass(frozen=True, slots=True)
class RatingRow:
    """The latest rating of a turn, from 1 to 5, and its time. `session_id` is where it was rated.

    A turn that a fork has copied can be rated there too: that is a rating of its own.
    """

    TABLE: ClassVar[str] = "turn_ratings"
    KEY: ClassVar[tuple[str, ...]] = ("session_id", "turn")

    session_id: str
    turn: int
    tenant_id: str
    agent_id: str
    rating: int
    at: datetime


class RatingsProjection:
    """`domain.projection.Projection` of ratings."""

    name = "ratings"
    kinds: tuple[type[Row], ...] = (RatingRow,)

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:  # noqa: ARG002  (it reads no row)
        return ()

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        if recorded.event.NAME == _RATED:
            event = cast("Any", recorded.event)
            rows.put(RatingRow(event.session_id, event.turn, event.tenant_id, event.agent_id, event.rating, event.at))
