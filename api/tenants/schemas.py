"""Request and response models of tenants."""

from typing import Annotated

from pydantic import ConfigDict, Field

from api.http.schemas import Body, Pagination, Timestamp, View
from domain.tenant_ids import TENANT_ID
from domain.tenants.ports import Status


class NewTenant(Body):
    """A tenant to create."""

    model_config = ConfigDict(str_strip_whitespace=True)

    id: Annotated[str, Field(pattern=TENANT_ID, description="It is part of the ids of the tenant's runs.")]
    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class Tenant(View):
    """A tenant. `name` is null once it is erased."""

    id: str
    name: str | None
    status: Status
    created_at: Timestamp
    deleted_at: Timestamp | None
    version: int


class Tenants(View):
    """Tenants in the order of their ids."""

    data: list[Tenant]
    pagination: Pagination
