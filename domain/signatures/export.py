"""Exports: JSON lines of what was signed, with the texts, and an end that signs them all."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal, Protocol

import orjson

from domain.signatures.jws import statement_in
from domain.signatures.ports import Signer
from domain.signatures.statements import (
    AnsweredTurn,
    ApprovalResult,
    ExecutionResult,
    ExportEnd,
    PreviousAnswer,
    SwarmResult,
)

SignedFact = AnsweredTurn | SwarmResult | ExecutionResult | ApprovalResult
Subject = Literal["session", "swarm", "execution"]
TEXTS: Mapping[str, Mapping[str, str]] = {
    "turn": {"message": "message_hash", "response": "content_hash"},
    "swarm": {"response": "content_hash"},
    "execution": {"input": "input_hash", "response": "content_hash"},
    "approval": {"content": "content_hash", "comment": "comment_hash"},
    "end": {},
}
"""The texts of each kind of line, and the signed fields with their hashes."""


@dataclass(frozen=True, slots=True)
class ExportedFact:
    """A settled fact as the views have it, with its texts by their field, and its signature.

    A text is None if it was erased, or if there is none.
    """

    fact: SignedFact
    texts: Mapping[str, str | None]
    signature: str | None


@dataclass(frozen=True, slots=True)
class TurnPlace:
    """The place of a turn in an export, after which the next page begins."""

    session_id: str
    turn: int


class ExportReads(Protocol):
    """What exports contain, up to the projections' positions."""

    def turns(self, root_id: str, after: TurnPlace | None, limit: int) -> list[tuple[TurnPlace, ExportedFact]]:
        """Return the next answered turns of a session or run and of the sessions nested in it, in order."""
        ...

    def decisions(self, tenant_id: str, workflow_id: str, after: str, limit: int) -> list[ExportedFact]:
        """Return the next decisions on approvals of a run after the approval `after`, by approval id."""
        ...


def previous_in(signature: str | None) -> PreviousAnswer | None:
    """Return the previous answer that a signature names; only the signature has it."""
    signed = statement_in(signature)
    turn, content_hash = signed.get("previous_turn"), signed.get("previous_hash")
    return PreviousAnswer(turn, content_hash) if isinstance(turn, int) and isinstance(content_hash, str) else None


def encode_line(fields: Mapping[str, Any]) -> bytes:
    """Return a line in the one form that it has in exports, without the line end."""
    return orjson.dumps(dict(fields))


def fact_line(exported: ExportedFact) -> dict[str, Any]:
    """Return the fields of a line: what was signed, each text before its hash, and the signature."""
    statement = exported.fact.statement()
    hashes = {of: name for name, of in TEXTS[str(statement["kind"])].items()}
    fields: dict[str, Any] = {}
    for field, value in statement.items():
        if field in hashes:
            fields[hashes[field]] = exported.texts.get(hashes[field]) if value is not None else None
        fields[field] = value
    fields["erased"] = any(fields[name] is None and statement[of] is not None for of, name in hashes.items())
    fields["signature"] = exported.signature
    return fields


def export_lines(
    facts: Iterable[ExportedFact], *, tenant_id: str, of: Subject, subject_id: str, signer: Signer
) -> Iterator[bytes]:
    """Yield the lines of an export with their line ends, the end last."""
    digest, count, newest = sha256(), 0, None
    for exported in facts:
        fields = fact_line(exported)
        line = encode_line(fields) + b"\n"
        digest.update(line)
        count += 1
        newest = max(filter(None, (newest, fields["at"])))
        yield line
    end = ExportEnd(tenant_id, of, subject_id, count, digest.hexdigest(), newest).statement()
    yield encode_line({**end, "signature": signer.sign(end)}) + b"\n"


def moment(at: object) -> datetime | None:
    """Parse the time of a line; None if it is not one."""
    try:
        return datetime.fromisoformat(at) if isinstance(at, str) else None
    except ValueError:
        return None
