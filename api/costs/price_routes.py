"""Routes of prices: those in force, and an operator's own."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Response

from api.costs.parameters import NameQuery
from api.costs.price_schemas import PriceChanges, PriceList, to_current_price
from api.http.dependencies import CurrentRequest, CurrentTenant, IfMatch, Page, Paged, fresh, requires, set_etag
from domain.costs.operator_prices import OperatorPrices
from domain.costs.price_book import PriceBook
from domain.costs.what_if import WhatIfReads


@dataclass(frozen=True, slots=True)
class PriceRouteServices:
    """Dependencies of the routes of prices."""

    prices: OperatorPrices
    calls: WhatIfReads
    now: Callable[[], datetime]

    def listed(self, tenant_id: str, book: PriceBook, model: str | None) -> list[str]:
        """Return the models to show: the one that was asked for, else those with own prices and those called."""
        if model is not None:
            return [model]
        return sorted(book.models() | self.prices.own_models() | self.calls.used_models(tenant_id))

    def page(self, models: Iterable[str], book: PriceBook, page: Page) -> PriceList:
        """Return a page of the models' prices: an operator's from the moment it is set."""
        now, names = self.now(), list(models)
        shown = [
            to_current_price(name, book.newest(name) or self.prices.listed_tariff(name, now))
            for name in names[page.skip : page.skip + page.limit]
        ]
        return PriceList(version=book.version, data=shown, **page.listing_fields(len(names)))


def router(service: PriceRouteServices) -> APIRouter:
    """Build the routes `/api/v1/cost-management/prices`."""
    routes = APIRouter(prefix="/api/v1/cost-management/prices", tags=["Cost Management"])

    @routes.get("", dependencies=[requires("read"), fresh("costs")])
    def get_prices(page: Paged, tenant_id: CurrentTenant, response: Response, *, model: NameQuery = None) -> PriceList:
        """Lists the prices in force, by model: those set by an operator, those of the file, those of called models.

        `model` asks for one, of which the list may know the price although nobody has called it.
        """
        book = service.prices.book()
        set_etag(response, book.version)
        return service.page(service.listed(tenant_id, book, model), book, page)

    @routes.put("", dependencies=[requires("admin")])
    async def set_prices(
        body: PriceChanges, request: CurrentRequest, expected: IfMatch, response: Response
    ) -> PriceList:
        """Sets and withdraws prices of models for the whole deployment; all or none. Returns those named.

        They begin three seconds later, at `valid_from`, in every process at once. A call costs by the price in force
        when it was reserved, and names its version; what was settled before stays as it is.
        """
        changes = [price.to_price() for price in body.prices], body.withdraw
        cause = request.cause(service.now())
        book = await asyncio.to_thread(service.prices.set_prices, *changes, cause, check=expected.check)
        set_etag(response, book.version)
        models = sorted(body.models())
        return await asyncio.to_thread(service.page, models, book, Page(0, len(models)))

    return routes
