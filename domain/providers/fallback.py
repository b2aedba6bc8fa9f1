"""The rule by which a call goes on to the next model that its agent names."""

from collections.abc import Mapping, Sequence

CIRCUIT_OPEN = "circuit_open"
"""The reason of a move that was made because no calls are sent to the model for now."""

PERMANENT = frozenset({"refused_key", "out_of_quota", "not_found", "wrong_path"})
"""Failures that every further call to the model has: none is made within the same step."""
NEXT_MODEL = PERMANENT | {"too_long", "unsupported"}
"""Failures that another model need not have.

`bad_request` is none of them: providers refuse contents by it, and what one refused is not offered to another. Neither
is an answer that ended with `content_filter`.
"""
LONGEST_PAUSE_S = 60.0
"""The longest pause that a provider can ask for before the next model is called instead."""


def is_for_next_model(kind: str, retry_after: float | None) -> bool:
    """Return True if a failure of this kind will not pass, or not soon, at this model."""
    return kind in NEXT_MODEL or (retry_after is not None and retry_after > LONGEST_PAUSE_S)


def models_left(models: Sequence[str], failures: Mapping[str, Sequence[str]], most: int) -> Sequence[str]:
    """Return the models, in order, that can still be called in a step.

    `failures` are the kinds of failures by model so far. A model with `most` failures, or a permanent one, is left out;
    the last one is left if all are, so that its refusal ends the step.
    """
    usable = [
        model for model in models if len(failed := failures.get(model, ())) < most and PERMANENT.isdisjoint(failed)
    ]
    return usable or models[-1:]
