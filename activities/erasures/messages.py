"""Inputs of the activities of erasures: ids only.

Temporal's inputs are not trusted: the subject is read from the ledger, where only the API records a request.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ErasureRef:
    """An erasure by its id."""

    erasure_id: str
