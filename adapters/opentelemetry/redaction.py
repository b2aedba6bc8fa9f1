"""What spans of libraries must not hold."""

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor

from adapters.opentelemetry import names


class QueryRemover(SpanProcessor):
    """Removes the query of a request from its span: it may hold a search text, or a token of a socket."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002  (the SDK's signature)
        if span.attributes and names.QUERY in span.attributes:
            span.set_attribute(names.QUERY, "")
