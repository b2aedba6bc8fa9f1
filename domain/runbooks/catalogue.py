"""The runbooks of this release: their steps, their parameters, and which of them needs an approval."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.errors import Invalid, NotFound

Risk = Literal["low", "medium", "high", "critical"]

CACHE_ROOT = "convergio:cache:"
"""Prefix of all caches in Valkey. Rate buckets and live frames are no caches, and have other prefixes."""

_Name = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z_][a-z0-9_]*$")]


class RunbookParameters(BaseModel):
    """Parameters of a runbook: ids and numbers only, since events hold them."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class NoParameters(RunbookParameters):
    """A runbook without parameters."""


class RebuildParameters(RunbookParameters):
    """The projection to rebuild."""

    projection: _Name


class RetryParameters(RunbookParameters):
    """The projection whose events set aside are folded again; all that have any without it."""

    projection: _Name | None = None


class CacheParameters(RunbookParameters):
    """The prefix of the keys to remove."""

    prefix: Annotated[str, Field(max_length=200, pattern=r"^convergio:cache:[A-Za-z0-9:_.~-]*$")] = CACHE_ROOT


class VacuumParameters(RunbookParameters):
    """The tables to vacuum, all of the platform's without any; with `analyze` their statistics are renewed."""

    tables: Annotated[list[_Name], Field(max_length=200)] = []
    analyze: bool = False


class ExpiryParameters(RunbookParameters):
    """The most approvals to process in one run."""

    limit: Annotated[int, Field(ge=1, le=10_000)] = 1_000


class DrainParameters(RunbookParameters):
    """The worker to drain, by its identity in Temporal, and the seconds that its work may take to end."""

    worker: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]
    timeout_s: Annotated[int, Field(ge=1, le=3_600)] = 120


class ReindexParameters(RunbookParameters):
    """With `all`, documents of the current model are embedded anew, too."""

    all: bool = False


@dataclass(frozen=True, slots=True)
class StepDefinition:
    """A step. One that `changes` something only tells what it would do in a dry run."""

    name: str
    summary: str
    changes: bool = False


@dataclass(frozen=True, slots=True)
class Runbook:
    """A runbook. With a `risk` an approval of that risk is needed before the first step that changes something."""

    id: str
    summary: str
    danger: str
    steps: tuple[StepDefinition, ...]
    parameters: type[RunbookParameters] = NoParameters
    risk: Risk | None = None

    def first_change(self) -> int:
        """Return the place of the first step that changes something."""
        return next(number for number, step in enumerate(self.steps) if step.changes)

    def validate(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters with their defaults.

        Raises:
            Invalid: one is unknown, missing, or has another form.
        """
        try:
            return self.parameters.model_validate(dict(given)).model_dump(mode="json")
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(("parameters", *(str(part) for part in first["loc"])))
            raise Invalid(f"{field}: {first['msg']}", field=field, reason=first["msg"]) from None


_RUNBOOKS = (
    Runbook(
        id="backup",
        summary="Makes a backup in the directory of CONVERGIO_BACKUP_DIR, and removes those that are kept no longer.",
        danger="None: everything goes on meanwhile. It takes disk space, and reads both stores from disk.",
        steps=(
            StepDefinition("inspect", "count the backups there"),
            StepDefinition("backup", "make a backup, and remove old ones", changes=True),
            StepDefinition("report", "count the backups again"),
        ),
    ),
    Runbook(
        id="clear-cache",
        summary="Removes cached values from Valkey, by prefix.",
        danger="None: what is cached is read again from its source.",
        parameters=CacheParameters,
        steps=(
            StepDefinition("count", "count the keys below the prefix"),
            StepDefinition("clear", "remove them", changes=True),
        ),
    ),
    Runbook(
        id="drain-worker",
        summary="Stops a worker from polling, and waits until what it works on has ended.",
        danger="Capacity is lost until another worker is started; if it is the last one of a queue, work waits there.",
        parameters=DrainParameters,
        risk="high",
        steps=(
            StepDefinition("inspect", "find the queues that the worker polls, and who else polls them"),
            StepDefinition("drain", "tell the worker to stop polling", changes=True),
            StepDefinition("await", "wait until its work has ended"),
        ),
    ),
    Runbook(
        id="expire-approvals",
        summary="Applies expiry to approvals whose time has passed although nobody has recorded it.",
        danger="What waited is rejected or escalated, as the rules of each approval say.",
        parameters=ExpiryParameters,
        steps=(
            StepDefinition("find", "count the open approvals whose time has passed"),
            StepDefinition("expire", "expire or escalate each of them", changes=True),
        ),
    ),
    Runbook(
        id="rebuild-projection",
        summary="Folds a view anew from the ledger beside the live one, compares them, and swaps them.",
        danger="None: the live view serves reads until the swap. It takes as long as folding the whole ledger.",
        parameters=RebuildParameters,
        steps=(
            StepDefinition("inspect", "read the position of the projection"),
            StepDefinition("rebuild", "fold the ledger into new tables, compare and swap", changes=True),
            StepDefinition("verify", "read the position again"),
        ),
    ),
    Runbook(
        id="reindex-knowledge",
        summary="Reads and embeds documents anew that another model than the current one has embedded.",
        danger="None: documents are found by their old versions until the new ones are whole. Embedding costs money.",
        parameters=ReindexParameters,
        steps=(
            StepDefinition("inspect", "count the documents to embed anew"),
            StepDefinition("reindex", "submit each of them again", changes=True),
            StepDefinition("report", "count those that are left, and those that are being indexed"),
        ),
    ),
    Runbook(
        id="retry-dead-letters",
        summary="Folds the views anew that have events set aside, in the order of the ledger.",
        danger="None: an event that still cannot be folded is set aside again.",
        parameters=RetryParameters,
        steps=(
            StepDefinition("find", "count the events that are set aside"),
            StepDefinition("rebuild", "rebuild each projection that has any", changes=True),
            StepDefinition("report", "count what is still set aside"),
        ),
    ),
    Runbook(
        id="rotate-signing-key",
        summary="Makes a new signing key, with which everything is signed from then on.",
        danger="It cannot be undone. Earlier signatures stay valid; verifiers that pinned a key need the new one.",
        risk="high",
        steps=(
            StepDefinition("inspect", "read the current key"),
            StepDefinition("rotate", "make a new key", changes=True),
            StepDefinition("verify", "check that this deployment signs with it"),
        ),
    ),
    Runbook(
        id="vacuum",
        summary="Removes dead rows from tables of the platform, and renews their statistics on request.",
        danger="None: tables stay readable and writable. It reads them from disk, which may slow down other work.",
        parameters=VacuumParameters,
        steps=(
            StepDefinition("inspect", "count dead rows and bytes"),
            StepDefinition("vacuum", "vacuum one table after the other", changes=True),
            StepDefinition("report", "count dead rows and bytes again"),
        ),
    ),
)
RUNBOOKS: Mapping[str, Runbook] = {runbook.id: runbook for runbook in _RUNBOOKS}
"""All runbooks, by their ids, in that order."""


def find_runbook(runbook_id: str) -> Runbook:
    """Return a runbook.

    Raises:
        NotFound: there is none of this id.
    """
    found = RUNBOOKS.get(runbook_id)
    if found is None:
        raise NotFound("there is no such runbook", runbooks=list(RUNBOOKS))
    return found
