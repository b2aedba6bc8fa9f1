"""Composes spans around model calls and tool calls, if the operator names a collector."""

from domain.chat.model_port import Model
from domain.tools.ports import Toolbox
from runtime.observability import tracer
from runtime.settings import Settings
from runtime.wiring.parts import Parts


def traced_model(settings: Settings, parts: Parts) -> Model:
    """Return the model with a span for each call."""
    found = tracer(settings)
    if found is None:
        return parts.model
    from adapters.opentelemetry.model import TracedModel  # noqa: PLC0415  (only if there is a collector)

    return TracedModel(parts.model, found, provider=parts.provider.name, url=parts.provider.url)


def traced_toolbox(settings: Settings, parts: Parts) -> Toolbox:
    """Return the tools with a span for each call."""
    found = tracer(settings)
    if found is None:
        return parts.toolbox
    from adapters.opentelemetry.toolbox import TracedToolbox  # noqa: PLC0415  (the same)

    return TracedToolbox(parts.toolbox, found)
