"""The kind of a failure, from its HTTP status and from the codes and words of many providers."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from adapters.openai.bounds import name_from
from adapters.openai.error_body import words_in
from domain.chat.model_port import FailureKind, Refusable

TOO_LONG = frozenset({"context_length_exceeded", "exceed_context_size_error", "string_above_max_length"})
TOO_LONG_WORDS = re.compile(
    r"context[ _](?:length|window|size)|prompt is too long|prompt length|input (?:length|token count) .{0,60}exceed"
    r"|`inputs` (?:tokens|must have less than)"
    r"|reduce the length of|too many (?:input |prompt )?tokens|input is too long|token limit of"
)
OUT_OF_QUOTA = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "exceeded_current_quota_error"}
    | {"insufficient_balance", "insufficient_credits", "payment_required"}
)
STATUSES: dict[int, FailureKind] = {
    401: "refused_key",
    402: "out_of_quota",
    403: "refused_key",
    404: "not_found",
    408: "unavailable",
    409: "unavailable",
    413: "too_long",
    420: "rate_limited",
    424: "unavailable",
    425: "unavailable",
    429: "rate_limited",
    498: "rate_limited",
    499: "unavailable",
}
MONEY_STATUSES = frozenset({400, 402, 403, 429, 500})
REDIRECTS = range(300, 400)  # none is followed: what it points at would get the key and the prompt
CODES: dict[str, FailureKind] = {
    "invalid_api_key": "refused_key",
    "api_key_invalid": "refused_key",
    "model_not_found": "not_found",
    "deploymentnotfound": "not_found",
    "rate_limit_exceeded": "rate_limited",
    "resource_exhausted": "rate_limited",
    "too_many_requests": "rate_limited",
    "invalid_request_error": "bad_request",
    "tool_use_failed": "unreadable",  # a 400 of Groq's about what the model wrote, and not about the request
    "json_validate_failed": "unreadable",
}
NO_MONEY_WORDS = re.compile(
    r"insufficient (?:account )?(?:balance|credits?|funds)|(?:used|spent) all (?:available |your )?credits"
    r"|credit balance is too low"
    r"|out of credits|not enough credits|please (?:recharge|top up|purchase more credits)|account is in arrears"
)
KEY_WORDS = re.compile(
    r"\bapi[ _-]?key\b.{0,20}(?:not valid|invalid|incorrect|missing|expired)|(?:invalid|incorrect) api[ _-]?key"
)
MODEL_WORDS = re.compile(r"\bmodels?\b|\bdeployment\b|\bendpoints found\b")
NO_MODEL_WORDS = re.compile(
    r"\bmodel\b.{0,200}?(?:not found|not exist|is invalid|not available|unknown)|(?:invalid|unknown|no such) model"
)
SLOW_DOWN_WORDS = re.compile(r"too many requests|rate[ _-]?limit")
UNSUPPORTED_STATUSES = frozenset({400, 404, 405, 422, 500, 501})  # 500 is what llama.cpp says
TOOL_WORDS = re.compile(r"\btools?\b|\btool[ _-](?:use|calls?|calling|choice)|\bfunctions?[ _-]call|\bfunctions\b")
SCHEMA_WORDS = re.compile(
    r"response[ _]?(?:format|mime[ _]type|schema)|json[ _]?(?:schema|mode)|structured[ _]outputs?|\bgrammar\b"
)
NO_WORDS = re.compile(
    r"(?:\bnot|n't|n\u2019t|\bno)(?: \w+){0,2} (?:support|enable|available|permitted|allowed|implemented|accept)"
    r"|unsupported|unavailable|unrecogni[sz]ed|extra_forbidden|no endpoints found|\brequires? --"
    r"|\bcannot (?:use|be used)"
)
RATE_LIMITED = 429
REFUSED_STATUSES = frozenset({400, 403, 422})
NOT_FOUND = frozenset({404, 405})
SERVER_ERRORS = 500


@dataclass(frozen=True, slots=True)
class Extras:
    """The parts of a request that not every model takes."""

    tools: bool = False
    schema: bool = False


NOTHING_MORE = Extras()


def kind_of(status: int, error: Mapping[str, Any], extras: Extras) -> FailureKind:
    """The kind of failure: by its codes and words first, since gateways wrap one status in another."""
    told = next((kind for kind in _by_words(status, error, extras) if kind is not None), None)
    return told or STATUSES.get(status) or ("unavailable" if status >= SERVER_ERRORS else "bad_request")


def _by_words(status: int, error: Mapping[str, Any], extras: Extras) -> Iterator[FailureKind | None]:
    names, said = _names(error), words_in(error)
    has_no_money = names & OUT_OF_QUOTA or (status in MONEY_STATUSES and NO_MONEY_WORDS.search(said))
    yield "out_of_quota" if has_no_money else None
    yield "wrong_path" if status in REDIRECTS else None
    is_too_long = names & TOO_LONG or (status < RATE_LIMITED and TOO_LONG_WORDS.search(said))
    yield "too_long" if is_too_long else None
    if status in UNSUPPORTED_STATUSES:
        yield "unsupported" if refused_extra(extras, error) else None
    if status in REFUSED_STATUSES:
        yield _kind_of_refusal(error)
    if status in NOT_FOUND:
        yield None if _is_about_a_model(error) else "wrong_path"
    if status >= SERVER_ERRORS:
        yield next((CODES[name] for name in names if name in CODES), None)
        yield "rate_limited" if SLOW_DOWN_WORDS.search(said) else None


def _names(error: Mapping[str, Any]) -> set[str]:
    return {name.lower() for field in ("code", "type", "status") if (name := name_from(error.get(field)))}


def _kind_of_refusal(error: Mapping[str, Any]) -> FailureKind | None:
    """The kind of a refused request by the refusal's own words: about the key, the model, or the rate of requests."""
    told = next((CODES[name] for name in _names(error) if CODES.get(name, "bad_request") != "bad_request"), None)
    said = words_in(error)
    if told is not None or KEY_WORDS.search(said):
        return told or "refused_key"
    return "not_found" if NO_MODEL_WORDS.search(said) else None


def _is_about_a_model(error: Mapping[str, Any]) -> bool:
    coded = any(CODES.get(name) == "not_found" for name in _names(error))
    return coded or error.get("param") == "model" or MODEL_WORDS.search(words_in(error)) is not None


def refused_extra(extras: Extras, error: Mapping[str, Any]) -> Refusable | None:
    """The part of the request, tools or schema, that the error calls unsupported; None if it was not sent.

    An error that names both is about the two together: the schema stands in the instructions too, and goes first.
    """
    if extras == NOTHING_MORE:
        return None
    said = words_in(error)
    if NO_WORDS.search(said) is None:
        return None
    tools, schema = extras.tools and TOOL_WORDS.search(said), extras.schema and SCHEMA_WORDS.search(said)
    if tools and schema:
        return "schema_with_tools"
    return "tools" if tools else "schema" if schema else None
