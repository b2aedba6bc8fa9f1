"""The route of model providers: what each claims, its limits, and the circuits of its models."""

from collections.abc import Iterable
from typing import Literal

from fastapi import APIRouter

from api.http.dependencies import Paged, fresh, requires
from api.http.schemas import Listing, Timestamp, View
from domain.providers.ports import CircuitReads
from domain.providers.projection import CircuitRow
from domain.providers.table import ModelProvider, ProviderTable


class CircuitView(View):
    """The circuit of a model that has moved at least once.

    `closed`: calls are sent. `open`: none is until `retry_at`; then one is let through as a probe. `half_open`: the
    probe is under way; if it has no end by `retry_at`, another call is let through. `error` is the kind of the failure
    that opened it, `openings` how often it opened without closing in between.
    """

    model: str
    state: Literal["closed", "open", "half_open"]
    changed_at: Timestamp
    opened_at: Timestamp | None
    retry_at: Timestamp | None
    error: str | None
    openings: int


class ProviderLimitsView(View):
    """Limits shared by all workers; null is no limit."""

    concurrency: int | None
    requests_per_minute: int | None
    tokens_per_minute: int | None


class ProviderView(View):
    """A model provider: the names of models and patterns that it claims, aliases, limits, and circuits."""

    name: str
    models: tuple[str, ...]
    aliases: dict[str, str]
    limits: ProviderLimitsView
    circuits: list[CircuitView]


class ProviderList(Listing):
    """Model providers in the order of the file."""

    providers: list[ProviderView]


def router(table: ProviderTable, reads: CircuitReads) -> APIRouter:
    """Build the route `/api/v1/governance/providers`."""
    routes = APIRouter(prefix="/api/v1/governance", tags=["Governance"])

    @routes.get("/providers", dependencies=[requires("admin"), fresh("providers")])
    def list_providers(page: Paged) -> ProviderList:
        """Lists the model providers of this deployment, and the circuits of their models that have ever moved.

        A circuit opens if too many of the last calls to a model failed; while it is open, calls to the model are
        refused without being sent, and go to the next model that the agent names.
        """
        circuits, found = reads.circuits(), table.providers
        shown = [_view(each, circuits) for each in found[page.skip : page.skip + page.limit]]
        return ProviderList(providers=shown, **page.listing_fields(len(found)))

    return routes


def _view(provider: ModelProvider, circuits: Iterable[CircuitRow]) -> ProviderView:
    return ProviderView(
        name=provider.name,
        models=provider.models,
        aliases=dict(provider.aliases),
        limits=ProviderLimitsView.model_validate(provider.limits),
        circuits=[CircuitView.model_validate(each) for each in circuits if each.provider == provider.name],
    )
