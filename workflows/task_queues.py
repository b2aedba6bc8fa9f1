"""Task queues, separated by the resources that their work needs."""

WORKFLOW_QUEUE = "convergio-flow"
"""Workflows, and short activities on the ledger."""

IO_QUEUE = "convergio-io"
"""Tools and knowledge: activities that wait for services other than model providers."""


def model_queue(provider: str) -> str:
    """Return the queue of calls to one model provider, which has limits of its own."""
    return f"convergio-model-{provider}"
