"""Which models agents may name."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from adapters.openai import model_catalogue
from adapters.openai.model_catalogue import FixedCatalogue, ProviderCatalogue
from domain.agents.ports import ModelCatalogue
from domain.errors import Unavailable

KEY = "sk-test"
AWAY = "http://127.0.0.1:9/v1"
"""Nobody listens at the port for what is to be thrown away."""


class Provider:
    """Lists its models as it is told to, and counts how often."""

    def __init__(self, answer: object = None, status: int = 200) -> None:
        self.answer = {"data": [{"id": "offered-1"}, {"id": "offered-2"}]} if answer is None else answer
        self.status = status
        self.asked: list[str | None] = []

    async def models(self, request: web.Request) -> web.Response:
        self.asked.append(request.headers.get("authorization"))
        await asyncio.sleep(0.05)
        if isinstance(self.answer, str):
            return web.Response(text=self.answer, status=self.status)
        return web.json_response(self.answer, status=self.status)


@asynccontextmanager
async def serving(provider: Provider) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/v1/models", provider.models)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def over(url: str | None) -> ProviderCatalogue:
    return ProviderCatalogue(url, KEY, "the-default", lambda model: model == "priced")


async def test_the_provider_the_price_list_and_the_platform_are_asked() -> None:
    async with serving(Provider()) as url:
        catalogue = over(url)
        for model in ("offered-1", "offered-2", "priced", "the-default"):
            assert await catalogue.has_model(model)
        assert not await catalogue.has_model("nobodys")


async def test_the_providers_list_is_asked_for_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider()
    async with serving(provider) as url:
        catalogue = over(url)
        assert not any(await asyncio.gather(*(catalogue.has_model(f"model-{n}") for n in range(20))))
        assert provider.asked == [f"Bearer {KEY}"]
        monkeypatch.setattr(model_catalogue, "KEPT_S", 0.0)
        again = over(url)
        await again.has_model("one")
        await again.has_model("two")
        assert len(provider.asked) == 3


async def test_what_has_a_price_is_known_whether_the_provider_is_there_or_not() -> None:
    assert await over(AWAY).has_model("priced")


@pytest.mark.parametrize(
    "provider",
    [Provider(status=500), Provider(status=401), Provider("not json"), Provider([]), Provider({"data": [{}]})],
)
async def test_nobody_can_say_while_the_provider_cannot(provider: Provider) -> None:
    async with serving(provider) as url:
        with pytest.raises(Unavailable):
            await over(url).has_model("offered-1")
        assert len(provider.asked) == 1


async def test_nobody_can_say_while_the_provider_is_away() -> None:
    with pytest.raises(Unavailable):
        await over(AWAY).has_model("offered-1")


async def test_without_a_provider_prices_and_the_platform_decide() -> None:
    assert not await over(None).has_model("offered-1")
    assert await over(None).has_model("priced")


async def test_a_fixed_catalogue_knows_what_it_was_told() -> None:
    catalogue: ModelCatalogue = FixedCatalogue("one")
    assert await catalogue.has_model("one")
    assert not await catalogue.has_model("two")
