"""The model adapter of a deployment without a provider: every call fails with the reason."""

from collections.abc import Callable
from typing import NoReturn

from domain.chat.model_port import ModelFailure, ModelReply, ModelRequest


class NoModel:
    """The null object of `domain.chat.model_port.Model`."""

    default = "none"
    takes_tools = False

    async def complete(self, request: ModelRequest, on_delta: Callable[[str], None]) -> ModelReply:
        del request, on_delta
        _fail()

    async def window(self, model: str) -> int:
        del model
        _fail()

    async def probe(self) -> None:
        _fail()

    async def aclose(self) -> None:
        """There is nothing to close."""


def _fail() -> NoReturn:
    raise ModelFailure("unreachable", "no model provider: set OPENAI_BASE_URL", charge="none", permanent=True)
