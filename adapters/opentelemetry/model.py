"""Spans of model calls."""

from collections.abc import Callable
from urllib.parse import urlsplit

from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer

from adapters.opentelemetry import names
from domain.chat.model_port import Model, ModelFailure, ModelReply, ModelRequest


class TracedModel:
    """`domain.chat.model_port.Model` with a span for each call: `chat <model>`. No span holds a text.

    `provider` is the provider's name, `url` its base URL.
    """

    def __init__(self, model: Model, tracer: Tracer, *, provider: str, url: str | None) -> None:
        self._model = model
        self._tracer = tracer
        self.default = model.default
        self.takes_tools = model.takes_tools
        self._always = {names.OPERATION: "chat", names.PROVIDER: provider}
        if url and (host := urlsplit(url).hostname):
            self._always[names.SERVER_ADDRESS] = host

    async def complete(self, request: ModelRequest, on_delta: Callable[[str], None]) -> ModelReply:
        attributes: dict[str, str | int | float] = {
            **self._always,
            names.REQUEST_MODEL: request.model,
            names.MAX_TOKENS: request.max_tokens,
            names.CALL_ID: request.request_id,
        }
        if request.temperature is not None:
            attributes[names.TEMPERATURE] = request.temperature
        with self._tracer.start_as_current_span(
            f"chat {request.model}",
            kind=SpanKind.CLIENT,
            attributes=attributes,
            record_exception=False,  # a provider's message may quote the prompt
            set_status_on_exception=False,
        ) as span:
            try:
                reply = await self._model.complete(request, on_delta)
            except ModelFailure as failure:
                span.set_attribute(names.ERROR_TYPE, failure.kind)
                span.set_status(Status(StatusCode.ERROR, failure.kind))
                raise
            span.set_attributes(_of_reply(reply))
            return reply

    async def window(self, model: str) -> int:
        return await self._model.window(model)

    async def probe(self) -> None:
        await self._model.probe()


def _of_reply(reply: ModelReply) -> dict[str, str | int | tuple[str, ...]]:
    found: dict[str, str | int | tuple[str, ...]] = {
        names.FINISH_REASONS: (reply.finish,),
        names.INPUT_TOKENS: reply.usage.prompt_tokens,
        names.OUTPUT_TOKENS: reply.usage.completion_tokens,
        names.CACHED_TOKENS: reply.usage.cached_prompt_tokens,
    }
    if reply.model:
        found[names.RESPONSE_MODEL] = reply.model
    if reply.provider_call_id:
        found[names.RESPONSE_ID] = reply.provider_call_id
    return found
