"""Translates refusals and model failures to Temporal's errors."""

from datetime import timedelta

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.providers.circuits import CircuitIsOpen
from domain.chat.events import FailureCode
from domain.chat.model_port import FailureKind, ModelFailure, Usage
from domain.costs.limits.breach import LimitReached
from domain.errors import (
    Conflict,
    DomainError,
    NotFound,
    OverBudget,
    TooLarge,
    Unavailable,
    UpstreamFailed,
    VersionConflict,
)
from domain.providers.fallback import CIRCUIT_OPEN, is_for_next_model

_CODES: tuple[tuple[type[DomainError], FailureCode], ...] = (
    (TooLarge, "PAYLOAD_TOO_LARGE"),
    (OverBudget, "BUDGET_EXCEEDED"),
    (UpstreamFailed, "UPSTREAM_ERROR"),
    (Unavailable, "SERVICE_UNAVAILABLE"),
)
_PASSING = (Unavailable, VersionConflict)

LONGEST_WAIT_S = 24 * 3600.0
"""The longest accepted `Retry-After`: no workflow waits longer than a day."""

_SENTENCES: dict[FailureKind, str] = {
    "unreachable": "the model provider cannot be reached",
    "timeout": "the model provider did not answer in time",
    "cut": "the model's answer broke off",
    "rate_limited": "the model provider limits the request rate",
    "unavailable": "the model provider has a problem of its own",
    "refused_key": "the model provider refused the API key",
    "out_of_quota": "the quota at the model provider is used up",
    "not_found": "the model provider does not have this model",
    "wrong_path": "the model provider has nothing at this path: the base URL is wrong",
    "too_long": "the prompt does not fit the model's window",
    "unsupported": "the model does not support a part of the request",
    "bad_request": "the model provider did not accept the request",
    "unreadable": "the model provider's answer could not be read",
}


class ModelUnusable(ApplicationError):  # noqa: N818  (a kind of refusal)
    """The failure of a model in whose place another one can be called. `reason` is the kind of the failure."""

    reason = ""


def reason_of(unusable: ModelUnusable | TooLarge | UpstreamFailed) -> str:
    """Return the reason why another model is called: a kind of failure, or `circuit_open`."""
    if isinstance(unusable, ModelUnusable):
        return unusable.reason
    return "too_long" if isinstance(unusable, TooLarge) else "attempts_used_up"


def code_of(refusal: DomainError) -> FailureCode:
    """Return the failure code of a turn for a refusal."""
    return next((code for kind, code in _CODES if isinstance(refusal, kind)), "INTERNAL_ERROR")


def refusal_error(refusal: DomainError) -> ApplicationError:
    """Translate a refusal: non-retryable, unless the refusal is transient. The error's type is the failure code.

    The error's detail is the `LimitBreach`, by its values, if a limit was reached.
    """
    final = not isinstance(refusal, _PASSING)
    name = type(refusal).__name__ if isinstance(refusal, NotFound | Conflict) else code_of(refusal)
    if isinstance(refusal, LimitReached):
        # a breach that a person may allow is no failure: not a warning in the log for each
        kind = ApplicationErrorCategory.BENIGN if refusal.breach.is_askable else ApplicationErrorCategory.UNSPECIFIED
        details = refusal.breach.values()
        return ApplicationError(refusal.message, details, type=name, non_retryable=final, category=kind)
    return ApplicationError(refusal.message, type=name, non_retryable=final)


def unexpected_error(*, final: bool) -> ApplicationError:
    """Return the error for an unforeseen fault, with a message that reveals no internals; the log has them."""
    return ApplicationError("internal error of the platform", type="INTERNAL_ERROR", non_retryable=final)


def model_failure_error(failure: ModelFailure, *, final: bool) -> ApplicationError:
    """Translate a model's failure, in the platform's words: the provider's message may quote the prompt."""
    code: FailureCode = "PAYLOAD_TOO_LARGE" if failure.kind == "too_long" else "UPSTREAM_ERROR"
    delay = timedelta(seconds=min(failure.retry_after, LONGEST_WAIT_S)) if failure.retry_after is not None else None
    is_exhausted = final and not failure.permanent
    is_for_next = is_exhausted or is_for_next_model(failure.kind, failure.retry_after)
    error = (ModelUnusable if is_for_next else ApplicationError)(
        _SENTENCES[failure.kind], type=code, non_retryable=final or failure.permanent, next_retry_delay=delay
    )
    if isinstance(error, ModelUnusable):
        error.reason = failure.kind
    return error


def circuit_error(refusal: CircuitIsOpen, *, final: bool) -> ModelUnusable:
    """Return the error of a call that an open circuit refused."""
    pause = refusal.details["retry_after"]
    error = ModelUnusable(
        refusal.message,
        type="UPSTREAM_ERROR",
        non_retryable=final,
        next_retry_delay=timedelta(seconds=pause) if pause is not None else None,
    )
    error.reason = CIRCUIT_OPEN
    return error


class UnusableReply(ModelFailure):
    """The failure of a call that the provider answered: its reply cannot be stored."""


def unusable_reply(usage: Usage | None, provider_call_id: str | None) -> UnusableReply:
    """Return the failure of a call whose reply cannot be stored, with a message that reveals no internals."""
    return UnusableReply(
        "unreadable",
        "the reply could not be kept",
        charge="possible" if usage is None else "partial",
        permanent=False,
        usage=usage,
        provider_call_id=provider_call_id,
    )
