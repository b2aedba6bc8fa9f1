"""The models that a call can be made to, in order: the agent's first one, and those to fall back to."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog
from temporalio import activity

from activities.costs.bookkeeping import CostLedger
from activities.costs.call_request import ModelPlace
from activities.costs.model_errors import ModelUnusable, reason_of
from domain.chat import policy
from domain.errors import TooLarge, UpstreamFailed
from domain.providers.fallback import models_left
from domain.providers.table import ANY_PROVIDER, ProviderTable

T = TypeVar("T")


class ModelChoice:
    """Chooses by the providers of the models, and by what the call's earlier attempts came to."""

    def __init__(self, books: CostLedger, table: ProviderTable) -> None:
        self._books = books
        self._table = table
        self._log = structlog.get_logger("calls")

    def takes_tools(self, model: str) -> bool:
        """Return True if tools are offered to the models of its provider."""
        route = self._table.route_or_none(model)
        return route is None or route.provider.takes_tools

    def answer_limits(self, model: str) -> tuple[int, int] | None:
        """Return the limit of an answer of the model in tokens, and its share of the window; None if none is stated."""
        route = None if self._table is ANY_PROVIDER else self._table.route_or_none(model)
        return (route.provider.max_answer_tokens, route.provider.answer_share) if route else None

    async def try_each(self, call_id: str, models: Sequence[str], call: Callable[[ModelPlace], Awaitable[T]]) -> T:
        """Make the call to the first model; while one cannot be called with success, to the next.

        Raises:
            ApplicationError, TooLarge, UpstreamFailed: the failure of the last one, or one that is not for the next.
        """
        named = tuple(dict.fromkeys(map(self._table.ledger_name, models)))
        left, reason = named, ""
        if activity.info().attempt > 1 and len(named) > 1:
            failed = (await asyncio.to_thread(self._books.read, call_id)).failures_by_model()
            left = tuple(models_left(named, failed, policy.MOST_FAILURES))
            before = named[: named.index(left[0])]
            reason = failed[before[-1]][-1] if before else ""
        for model in left[:-1]:
            try:
                return await call(self._place(model, named[0], reason))
            except (ModelUnusable, TooLarge, UpstreamFailed) as unusable:
                reason = reason_of(unusable)
                self._log.warning("the next model is called", call_id=call_id, instead_of=model, reason=reason)
        return await call(self._place(left[-1], named[0], reason))

    def _place(self, model: str, first: str, reason: str) -> ModelPlace:
        provider = None if self._table is ANY_PROVIDER else self._table.provider_of(model)
        return ModelPlace(model, provider) if model == first else ModelPlace(model, provider, first, reason)
