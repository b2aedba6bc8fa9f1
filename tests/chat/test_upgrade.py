"""A database of the release before gets what a rebuild would give it."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from adapters.postgres.migrate import migrate
from adapters.postgres.projections.rebuild import Rebuild
from adapters.postgres.projections.runner import ProjectionRunner
from domain.agents import aggregate as agents
from domain.agents.definition import AgentDefinition
from domain.agents.projection import AgentsProjection
from domain.chat.aggregate import session_stream, turn_stream
from domain.chat.events import SessionOpened, TurnAnswered, TurnFailed, TurnStarted
from domain.chat.projection import ChatProjection
from domain.events import Cause, Event
from domain.ledger import Change, Ledger
from domain.projection import Projection
from domain.registry import registry

CAUSE = Cause("key_1", "req_1", datetime(2026, 11, 1, 12, 0, 0, 123456, tzinfo=UTC))
BEFORE = """
    ALTER TABLE chat_sessions DROP COLUMN origin_session_id, DROP COLUMN origin_turn;
    DROP INDEX chat_turns_held;
    ALTER TABLE chat_turns DROP COLUMN approval_id, DROP COLUMN rating, DROP COLUMN tools, DROP COLUMN steps,
        DROP COLUMN origin_session_id;
    ALTER TABLE agents DROP COLUMN approval, DROP COLUMN environment, DROP COLUMN newest_version,
        DROP COLUMN retired_at;
    UPDATE agent_versions SET definition = definition - 'approval';
    DELETE FROM schema_migrations WHERE name = '0008_chat_turns.sql';
"""


def chatted() -> dict[str, list[Event]]:
    """A session with a turn that was answered, one that failed and one that runs."""
    of = {"session_id": "s1", **CAUSE.fields()}
    begun = [
        TurnStarted(
            turn=n, message_id=f"m{n}", message_hash="h", agent_id="ada", agent_version=1, model="some/model", **of
        )
        for n in (1, 2, 3)
    ]
    answered = TurnAnswered(
        turn=1,
        message_id="m1",
        reply_hash="r",
        finish="stop",
        model="some/model",
        prompt_tokens=4,
        completion_tokens=2,
        cost=Decimal("0.00120"),
        **of,
    )
    failed = TurnFailed(turn=2, message_id="m2", code="UPSTREAM_ERROR", message="no answer", **of)
    opened = SessionOpened(agent_id="ada", key_id="key_1", workflow_id="chat-s1", **of)
    return {
        session_stream("s1"): [opened],
        turn_stream("s1", 1): [begun[0], answered],
        turn_stream("s1", 2): [begun[1], failed],
        turn_stream("s1", 3): [begun[2]],
    }


def defined() -> dict[str, list[Event]]:
    """An agent that is deployed, one with a newer version, one that was never deployed, one that is retired."""
    streams: dict[str, list[Event]] = {}
    for agent_id, versions, deployed, is_retired in (
        ("ada", 1, 1, False),
        ("bob", 3, 2, False),
        ("cyd", 2, None, False),
        ("dan", 1, 1, True),
    ):
        agent, events = agents.Agent(), list[Event]()
        for n in range(versions):
            fields = {"id": agent_id, "name": agent_id.title(), "color": "#123456", "instructions": f"Version {n}."}
            definition = AgentDefinition.model_validate({**fields, "description": "Helps."})
            events += agents.define(agents.evolved(agent, events), definition, CAUSE)
        events += agents.deploy(agents.evolved(agent, events), deployed, CAUSE) if deployed else []
        events += agents.retire(agents.evolved(agent, events), CAUSE) if is_retired else []
        streams[agents.stream(agent_id)] = events
    return streams


@pytest.mark.parametrize("projection", [AgentsProjection(), ChatProjection()], ids=lambda it: it.name)
def test_views_of_the_release_before_equal_their_rebuild(database_url: str, projection: Projection) -> None:
    database, events = Database(database_url), registry()
    database.open()
    ledger = Ledger(LedgerRecorder(database), events)
    for stream, happened in {**defined(), **chatted()}.items():
        ledger.append(Change(stream, 0, happened), key=stream)
    ProjectionRunner(database_url, events, [projection]).catch_up()
    with database.connection() as connection:
        connection.execute(BEFORE.encode())
    database.close()
    assert migrate(database_url) == ["0008_chat_turns.sql"]
    rebuilt = Rebuild(database_url, events, projection).run(swap=False)
    assert rebuilt.comparisons
    assert all(comparison.equal for comparison in rebuilt.comparisons)
    assert all(comparison.live[0] > 0 for comparison in rebuilt.comparisons)
