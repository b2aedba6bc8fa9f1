"""Request and response models of erasures."""

from typing import Annotated, Literal

from pydantic import Field

from api.http.schemas import Body, Pagination, Timestamp, View
from domain.erasures.events import Kind, RequestedKind


class NewErasure(Body):
    """The subject whose texts are to be removed.

    `id` is that of a session or talent of the caller's tenant, a `context.user_id`, or the id of a tenant.
    """

    kind: RequestedKind
    id: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00]+$")]


class RemovedCounts(View):
    """What was removed: owners of texts (sessions, runs, records), texts, stored responses, and workflow histories."""

    owners: int
    texts: int
    answers: int
    histories: int


class Erasure(View):
    """An erasure. `subject` is the id that was asked for; of a user, a pseudonym. `removed` is null while it runs."""

    id: str
    kind: Kind
    subject: str
    status: Literal["running", "completed"]
    requested_by: str
    requested_at: Timestamp
    completed_at: Timestamp | None
    removed: RemovedCounts | None


class ErasureList(View):
    """A page of erasures, newest first."""

    data: list[Erasure]
    pagination: Pagination
