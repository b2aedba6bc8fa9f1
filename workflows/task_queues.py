"""Task queues by what their work costs."""

FLOW = "convergio-flow"
"""Workflows and short activities on the ledger."""

IO = "convergio-io"
"""Tools and knowledge: what waits for others than model providers."""


def model_queue(provider: str) -> str:
    """Calls to one model provider: their rate and concurrency are the provider's."""
    return f"convergio-model-{provider}"
