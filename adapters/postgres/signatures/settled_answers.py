"""Answers as they were settled: text and signature, in one round trip."""

from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.prepared import Statement, text
from domain.chat.events import TurnAnswered
from domain.chat.ports import SettledAnswer
from domain.chat.turns import turn_stream
from domain.events import EventRegistry

_READ = Statement(
    b"settled_answer",
    b"""
    SELECT NULL AS topic, convert_to(body, 'UTF8') FROM content WHERE owner = $1 AND hash = $2
    UNION ALL
    SELECT topic, state FROM ledger_events WHERE originator_id = $3 AND topic LIKE 'chat.turn_answered/%'
    """,
)


class PostgresSettledAnswers:
    """`domain.chat.ports.SettledAnswers` on the ledger and the texts."""

    def __init__(self, database: Database, registry: EventRegistry) -> None:
        self._database = database
        self._registry = registry

    def read(self, session_id: str, turn: int, reply_hash: str) -> SettledAnswer:
        stream = turn_stream(session_id, turn)
        found = self._database.execute(_READ, (session_id.encode(), reply_hash.encode(), stream.encode()))
        body: str | None = None
        signature: str | None = None
        for row in range(found.ntuples):
            topic, value = found.get_value(row, 0), found.get_value(row, 1) or b""
            if topic is None:
                body = value.decode()
                continue
            event = self._registry.decode(text(topic), value)
            if isinstance(event, TurnAnswered) and event.reply_hash == reply_hash:
                signature = event.signature
        return SettledAnswer(body, signature)
