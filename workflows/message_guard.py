"""Interceptor that drops malformed messages to workflows, which anybody who reaches Temporal can send.

The SDK drops a signal whose payloads it cannot decode. One with too many arguments, too few, or `null` in the place of
an object reaches the handler, and an error there fails the workflow task at every attempt: the workflow would be stuck
until somebody resets it.
"""

from collections.abc import Sequence
from functools import lru_cache
from inspect import Parameter, Signature, signature
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)


class WellFormedMessages(Interceptor):
    """Drops signals, and refuses updates, whose arguments do not fit their handlers."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002, ARG002  (its name upstream)
        return _Inbound


class _Inbound(WorkflowInboundInterceptor):
    async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002  (its name upstream)
        if _fits(_signature_of(f"signal {input.signal}"), input.args):
            await super().handle_signal(input)
        else:
            workflow.logger.warning("the signal %s was dropped: its arguments do not fit", input.signal)

    def handle_update_validator(self, input: HandleUpdateInput) -> None:  # noqa: A002  (its name upstream)
        _refuse_misfit(input)
        super().handle_update_validator(input)

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:  # noqa: A002  (its name upstream)
        _refuse_misfit(input)  # not every update has a validator
        return await super().handle_update_handler(input)


def _refuse_misfit(asked: HandleUpdateInput) -> None:
    if not _fits(_signature_of(f"update {asked.update}"), asked.args):
        raise ApplicationError(
            f"the arguments of {asked.update} do not fit: one is missing, null, or too many",
            type="Invalid",
            non_retryable=True,
        )


def _signature_of(handler: str) -> Signature | None:
    kind: Any = type(workflow.instance())
    return _handlers(kind).get(handler)


@lru_cache(maxsize=64)
def _handlers(kind: type) -> dict[str, Signature]:
    """Return the signatures of a workflow's handlers. The SDK exposes them wrapped, without their parameters."""
    definition = workflow._Definition.must_from_class(kind)  # noqa: SLF001
    found = [(f"signal {name}", handler.fn) for name, handler in definition.signals.items()]
    found += [(f"update {name}", handler.fn) for name, handler in definition.updates.items()]
    return {name: _without_self(signature(handler)) for name, handler in found}


def _without_self(whole: Signature) -> Signature:
    return whole.replace(parameters=list(whole.parameters.values())[1:])


def _fits(handler: Signature | None, arguments: Sequence[Any]) -> bool:
    if handler is None:
        return True
    try:
        bound = handler.bind(*arguments)
    except TypeError:
        return False
    return not any(value is None and _is_required(handler.parameters[name]) for name, value in bound.arguments.items())


def _is_required(parameter: Parameter) -> bool:
    return parameter.kind is not Parameter.VAR_POSITIONAL and parameter.default is not None
