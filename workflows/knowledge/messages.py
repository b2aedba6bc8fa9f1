"""Messages to the workflow of a document.

Fields are added with defaults, never removed: recorded histories hold them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class IngestStart:
    """The input of the workflow: the document by the owner of its texts."""

    owner: str
