"""Inputs and results of the activities of `Ingest`: ids and numbers only.

Temporal's inputs are not trusted: whose a document is, and what is in it, is read from the ledger.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class DocumentRef:
    """A document by the owner of its texts, which names its tenant."""

    owner: str


@dataclass(frozen=True)
class GenerationRef:
    """A generation of a document."""

    owner: str
    generation: int


@dataclass(frozen=True)
class IngestPlan:
    """The generation to index, and how many chunks it has; 0 where there is nothing to index.

    `failed` means that the newest generation has just failed.
    """

    generation: int = 0
    total: int = 0
    done: int = 0
    failed: bool = False


@dataclass(frozen=True)
class EmbedProgress:
    """How far a generation is. One that is not wanted any more is replaced by a newer one, or deleted."""

    done: int
    total: int
    is_complete: bool
    is_wanted: bool = True


@dataclass(frozen=True)
class IngestFailure:
    """A generation that cannot be indexed, with a reason in the platform's words."""

    owner: str
    generation: int
    code: str
    reason: str
