"""A scripted provider for each module, and a model that asks it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from adapters.openai.model import OpenAIModel
from domain.chat.model_port import Message, ModelRequest
from tests.scripted_model import ScriptedModel, start_scripted_model

KEY = "sk-of-a-test"


@pytest.fixture(scope="module")
def _provider() -> Iterator[ScriptedModel]:
    with start_scripted_model(key=KEY) as provider:
        yield provider


@pytest.fixture
def provider(_provider: ScriptedModel) -> ScriptedModel:
    _provider.reset()
    return _provider


@pytest.fixture
async def model(provider: ScriptedModel) -> AsyncIterator[OpenAIModel]:
    model = OpenAIModel(provider.url, KEY, "scripted", timeout_s=10)
    yield model
    await model.aclose()


def asking(
    text: str = "hello", *, request_id: str = "call.1", max_tokens: int = 4096, model: str = "scripted"
) -> ModelRequest:
    messages = (Message("system", "Be brief."), Message("user", text))
    return ModelRequest(request_id, model, messages, max_tokens)
