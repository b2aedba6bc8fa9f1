"""Exports of sessions, swarms and executions."""

from collections.abc import Iterator
from dataclasses import dataclass

from domain.chat.ports import ChatReads
from domain.content import ContentStore
from domain.errors import NotFound
from domain.graphflow.execution.ports import RunReads
from domain.signatures.export import ExportedFact, ExportReads, Subject, TurnPlace, export_lines
from domain.signatures.ports import Signer
from domain.signatures.statements import ExecutionResult, SwarmResult
from domain.swarm.ports import SwarmReads
from domain.tenant_ids import unqualified

_PAGE = 200
"""Facts that are read at once."""


@dataclass(frozen=True, slots=True)
class _Subject:
    """A session or run to export, by its own id, its workflow's, and the name that its tenant knows."""

    tenant_id: str
    of: Subject
    id: str
    workflow_id: str

    @property
    def name(self) -> str:
        return unqualified(self.id) if self.of == "session" else self.id


@dataclass(frozen=True, slots=True)
class ExportService:
    """Reads what was settled, a page at a time, and signs the whole."""

    facts: ExportReads
    sessions: ChatReads
    swarms: SwarmReads
    runs: RunReads
    content: ContentStore
    signer: Signer

    def session(self, tenant_id: str, session_id: str) -> Iterator[bytes]:
        """Return the lines of a session: its answers, and those of agents that it delegated to.

        Raises:
            NotFound: the tenant has no such session.
        """
        row = self.sessions.session(session_id)
        if row is None or row.tenant_id != tenant_id:
            raise NotFound("there is no such session")
        return self._lines(_Subject(tenant_id, "session", session_id, row.workflow_id))

    def swarm(self, tenant_id: str, task_id: str) -> Iterator[bytes]:
        """Return the lines of a swarm: its members' answers and its result.

        Raises:
            NotFound: the tenant has no such swarm.
        """
        seen = self.swarms.swarm(task_id)
        if seen is None or seen.row.tenant_id != tenant_id:
            raise NotFound("there is no such swarm")
        row, result = seen.row, None
        if row.ended_at is not None:
            fact = SwarmResult(tenant_id, task_id, row.status, row.result_hash, row.ended_at)
            result = ExportedFact(fact, self._texts(task_id, response=row.result_hash), row.signature)
        return self._lines(_Subject(tenant_id, "swarm", task_id, task_id), result)

    def execution(self, tenant_id: str, workflow_id: str, execution_id: str) -> Iterator[bytes]:
        """Return the lines of an execution: its agents' answers and its output.

        Raises:
            NotFound: the tenant has no such execution of this workflow.
        """
        seen = self.runs.run(execution_id)
        if seen is None or (seen.row.tenant_id, seen.row.workflow_id) != (tenant_id, workflow_id):
            raise NotFound("there is no such execution")
        row, result = seen.row, None
        if row.ended_at is not None:
            fact = ExecutionResult(
                tenant_id,
                execution_id,
                workflow_id,
                row.version,
                row.status,
                row.input_hash,
                row.output_hash,
                row.ended_at,
            )
            texts = self._texts(execution_id, input=row.input_hash, response=row.output_hash)
            result = ExportedFact(fact, texts, row.signature)
        return self._lines(_Subject(tenant_id, "execution", execution_id, execution_id), result)

    def _texts(self, owner: str, **hashes: str | None) -> dict[str, str | None]:
        found = self.content.get(owner, [each for each in hashes.values() if each])
        return {name: found.get(each or "") for name, each in hashes.items()}

    def _lines(self, subject: _Subject, result: ExportedFact | None = None) -> Iterator[bytes]:
        return export_lines(
            self._facts(subject, result),
            tenant_id=subject.tenant_id,
            of=subject.of,
            subject_id=subject.name,
            signer=self.signer,
        )

    def _facts(self, subject: _Subject, result: ExportedFact | None) -> Iterator[ExportedFact]:
        place: TurnPlace | None = None
        while page := self.facts.turns(subject.id, place, _PAGE):
            yield from (fact for _, fact in page)
            place = page[-1][0]
        after = ""
        while decisions := self.facts.decisions(subject.tenant_id, subject.workflow_id, after, _PAGE):
            yield from decisions
            after = str(decisions[-1].fact.statement()["approval_id"])
        if result is not None:
            yield result
