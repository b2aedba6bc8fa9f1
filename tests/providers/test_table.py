"""Which provider a model's name means, and the name that the ledger has for it."""

import pytest

from domain.errors import Invalid, NotFound
from domain.providers.table import ANY_PROVIDER, ModelProvider, ProviderTable

OPENAI = ModelProvider("openai", ("gpt-4.1-mini", "gpt-*"), {"fast": "gpt-4.1-mini"})
GROQ = ModelProvider("groq", ("llama-3.3-70b", "shared"))
ROUTER = ModelProvider("router", ("*/*", "shared-*"))
TABLE = ProviderTable((OPENAI, GROQ, ROUTER))


@pytest.mark.parametrize(
    ("name", "provider", "model", "in_ledger"),
    [
        ("gpt-4.1-mini", "openai", "gpt-4.1-mini", "gpt-4.1-mini"),
        ("openai/gpt-4.1-mini", "openai", "gpt-4.1-mini", "gpt-4.1-mini"),
        ("gpt-5-unheard-of", "openai", "gpt-5-unheard-of", "gpt-5-unheard-of"),
        ("fast", "openai", "gpt-4.1-mini", "gpt-4.1-mini"),
        ("openai/fast", "openai", "gpt-4.1-mini", "gpt-4.1-mini"),
        ("deepseek/r1", "router", "deepseek/r1", "deepseek/r1"),
        ("router/deepseek/r1", "router", "deepseek/r1", "deepseek/r1"),
        ("router/openai/gpt-4o", "router", "openai/gpt-4o", "router/openai/gpt-4o"),
        ("shared", "groq", "shared", "shared"),
    ],
)
def test_a_name_means_one_model_of_one_provider(name: str, provider: str, model: str, in_ledger: str) -> None:
    route = TABLE.route(name)
    assert (route.provider.name, route.model, route.name) == (provider, model, in_ledger)
    assert TABLE.route(route.name) == route, "the ledger's name means the same model"


@pytest.mark.parametrize("name", ["nobodys", "groq/gpt-4o", "groq/", "openai/llama-3.3-70b"])
def test_a_name_that_no_provider_claims_means_nothing(name: str) -> None:
    with pytest.raises(NotFound):
        TABLE.route(name)
    assert TABLE.route_or_none(name) is None
    assert TABLE.ledger_name(name) == name
    assert TABLE.provider_of(name) is None


def test_a_model_that_two_providers_have_is_named_with_its_provider() -> None:
    table = ProviderTable((ModelProvider("one", ("m-*",)), ModelProvider("two", ("m-*",))))
    with pytest.raises(NotFound, match="several providers claim it"):
        table.route("m-1")
    assert [table.route(f"{name}/m-1").name for name in ("one", "two")] == ["one/m-1", "two/m-1"]
    assert table.route("two/m-1").is_qualified


def test_the_only_provider_has_every_model_by_its_own_name() -> None:
    table = ProviderTable((ModelProvider("local"),), has_every_model=True)
    assert table.route("local/anything").model == "local/anything"
    assert ANY_PROVIDER.route("a/b/c").name == "a/b/c"


@pytest.mark.parametrize(
    ("providers", "says"),
    [
        ((ModelProvider("a"), ModelProvider("a")), "a: two providers have this name"),
        ((ModelProvider("a", ("m",)), ModelProvider("b", ("m",))), "both a and b claim it"),
        ((ModelProvider("a", ("m",)), ModelProvider("b", ("*",), {"m": "n"})), "both a and b claim it"),
        ((ModelProvider("a"), ModelProvider("b", ("a/m",))), "b claims what means a model of the provider a"),
    ],
)
def test_providers_whose_models_cannot_be_told_apart_are_refused(
    providers: tuple[ModelProvider, ...], says: str
) -> None:
    with pytest.raises(Invalid, match=says):
        ProviderTable(providers)
