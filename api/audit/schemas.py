"""Response models of the audit."""

from typing import Annotated

from pydantic import Field

from api.http.schemas import Listing, Timestamp, View


class AuditEntry(View):
    """One event: `by` is the key, `because` the request or workflow, `subject` the id of what it happened to."""

    position: Annotated[int, Field(description="Its place in the ledger, which is never given again.")]
    at: Timestamp
    kind: Annotated[str, Field(description="The stable name of the event, such as `agent.deployed`.")]
    subject: str
    by: str
    because: str


class AuditEntries(Listing):
    """A page of entries, newest first. `total` counts up to 10,000; `next` is the `before` of the next page."""

    data: list[AuditEntry]
    next: int | None
