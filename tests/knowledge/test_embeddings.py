"""Embedding models: the local one, and a provider's."""

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from activities.knowledge.embedding_calls import decode_vectors, encode_vectors
from adapters.embeddings.minilm import DIMENSIONS, MODEL, MiniLM
from adapters.embeddings.models import EmbeddingModels
from adapters.embeddings.provider import ProviderEmbedder
from adapters.openai.client import ProviderClient
from domain.chat.model_port import ModelFailure
from domain.errors import Invalid
from tests.scripted_model import ScriptedModel


def similarity(one: Any, other: Any) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def local() -> MiniLM:
    return MiniLM()


def test_the_local_model_places_texts_by_their_meaning(local: MiniLM) -> None:
    texts = ["How do I reset my password?", "I forgot my login and need a new one", "The moons of Jupiter"]
    found = local.compute(texts)
    assert found.model == MODEL
    assert 20 < found.tokens < 40
    one, near, far = found.vectors
    assert all(len(vector) == DIMENSIONS for vector in found.vectors)
    assert similarity(one, one) == pytest.approx(1.0, abs=1e-5)
    assert similarity(one, near) > similarity(one, far) + 0.2


def test_a_text_has_the_same_vector_alone_and_among_others(local: MiniLM) -> None:
    texts = [f"text {number} " * (number + 1) for number in range(40)]
    together = local.compute(texts).vectors
    for number in (0, 7, 39):
        assert similarity(together[number], local.compute([texts[number]]).vectors[0]) > 0.98


@pytest.mark.parametrize("text", ["", " ", "\n", "🚀", "x" * 30_000, "\ud800".encode("utf-8", "replace").decode()])
def test_the_local_model_embeds_whatever_is_a_text(local: MiniLM, text: str) -> None:
    [vector] = local.compute([text]).vectors
    assert similarity(vector, vector) == pytest.approx(1.0, abs=1e-5)


def test_vectors_are_kept_as_text_in_half_precision() -> None:
    vectors = [[0.1, -0.25, 0.5], [1.0, 0.0, -1.0]]
    kept = decode_vectors(encode_vectors(vectors))
    assert [list(vector) for vector in kept] == [pytest.approx(vector, abs=1e-3) for vector in vectors]
    for text in ("", "x", "3:", "3:!!", "0:AAAA", "-1:AAAA"):
        assert decode_vectors(text) == []


async def test_a_provider_embeds_all_texts_in_one_call(scripted_model: ScriptedModel) -> None:
    client = ProviderClient(scripted_model.url, "key", 5)
    found = await ProviderEmbedder(client, "key", "text-embedding-3-small").embed(["a b", "b a", "c"], request_id="r.1")
    await client.close()
    assert similarity(found.vectors[0], found.vectors[1]) == pytest.approx(1.0)
    assert similarity(found.vectors[0], found.vectors[2]) < 0.9
    [billed] = scripted_model.bill()
    assert (billed["request_id"], billed["prompt_tokens"]) == ("r.1", found.tokens)


ODD: list[Any] = [
    {},
    [],
    {"data": None},
    {"data": []},
    {"data": [{"embedding": [1.0]}]},
    {"data": [{"embedding": [1.0]}, {"embedding": [1.0, 2.0]}]},
    {"data": [{"embedding": [0.0]}, {"embedding": [1.0]}]},
    {"data": [{"embedding": []}, {"embedding": []}]},
    {"data": [{"embedding": ["x"]}, {"embedding": [1.0]}]},
    {"data": [{"embedding": "AAAA"}, {"embedding": "AAAA"}]},
    {"data": [{"embedding": [1.0], "index": 0}, {"embedding": [1.0], "index": 0}]},
    {"data": [{"embedding": [1.0], "index": True}, {"embedding": [1.0], "index": 5}]},
    {"data": [{"embedding": [1.0]}, {"embedding": [1.0]}, {"embedding": [1.0]}]},
    {"data": [7, 8]},
]


@pytest.mark.parametrize("answer", ODD, ids=range(len(ODD)))
async def test_what_is_not_a_vector_for_each_text_is_unreadable(answer: Any) -> None:
    async def respond(_: web.Request) -> web.Response:
        return web.json_response(answer)

    app = web.Application()
    app.router.add_post("/v1/embeddings", respond)
    async with TestServer(app) as server:
        client = ProviderClient(str(server.make_url("/v1")), None, 5)
        with pytest.raises(ModelFailure) as failed:
            await ProviderEmbedder(client, None, "m").embed(["a", "b"], request_id="r")
        await client.close()
    assert (failed.value.kind, failed.value.charge) == ("unreadable", "possible")


async def test_vectors_stand_at_the_places_that_the_provider_names() -> None:
    async def respond(_: web.Request) -> web.Response:
        items = [{"embedding": [0.0, 2.0], "index": 1}, {"embedding": [3.0, 0.0], "index": 0}]
        return web.json_response({"data": items})

    app = web.Application()
    app.router.add_post("/v1/embeddings", respond)
    async with TestServer(app) as server:
        client = ProviderClient(str(server.make_url("/v1")), None, 5)
        found = await ProviderEmbedder(client, None, "m").embed(["a", "b"], request_id="r")
        await client.close()
    assert [list(vector) for vector in found.vectors] == [[1.0, 0.0], [0.0, 1.0]]
    assert found.tokens > 0


async def test_a_deployment_has_the_local_model_and_those_of_its_provider(scripted_model: ScriptedModel) -> None:
    alone = EmbeddingModels(None, None, None, takes_any=True)
    assert (alone.default, alone.of(MODEL).model) == (MODEL, MODEL)
    with pytest.raises(Invalid):
        alone.of("text-embedding-3-small")
    beside_a_chat_model = EmbeddingModels(scripted_model.url, None, None, takes_any=False)
    with pytest.raises(Invalid):
        beside_a_chat_model.of("text-embedding-3-small")
    named = EmbeddingModels(scripted_model.url, None, "nomic-embed", takes_any=False)
    assert (named.default, named.of("nomic-embed").model, named.of(MODEL).model) == (
        "nomic-embed",
        "nomic-embed",
        MODEL,
    )
    await named.aclose()
