"""Task queues, separated by the resources that their work needs."""

FLOW = "convergio-flow"
"""Workflows, and short activities on the ledger."""

IO = "convergio-io"
"""Tools and knowledge: activities that wait for services other than model providers."""


def model_queue(provider: str) -> str:
    """Return the queue of calls to one model provider, which has limits of its own."""
    return f"convergio-model-{provider}"
