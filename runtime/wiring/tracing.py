"""Composes spans around model calls and tool calls, if the operator names a collector."""

from adapters.routed_model import RoutedModel
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

    if not isinstance(parts.model, RoutedModel):
        return TracedModel(parts.model, found, provider=parts.provider.name, url=parts.provider.url)
    urls = {each.name: each.url for each in parts.providers}
    return parts.model.wrapped(lambda name, model: TracedModel(model, found, provider=name, url=urls[name]))


def traced_toolbox(settings: Settings, parts: Parts) -> Toolbox:
    """Return the tools with a span for each call."""
    found = tracer(settings)
    if found is None:
        return parts.toolbox
    from adapters.opentelemetry.toolbox import TracedToolbox  # noqa: PLC0415  (the same)

    return TracedToolbox(parts.toolbox, found)
