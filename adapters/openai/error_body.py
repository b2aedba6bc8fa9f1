"""Errors in the many forms that providers and gateways have for them, as one flat object each."""

from collections.abc import Mapping
from typing import Any

from adapters.openai.bounds import mend, name_from, object_from, parse
from domain.chat.model_port import FailureKind

MAX_WORDS = 300  # characters of the provider's own message that are passed on
MAX_SAID = 2000  # characters of it that are looked at: some go on to quote the whole request
_MOST_LAYERS = 5
_WORDS = ("message", "detail", "msg", "error_msg", "status_msg")
_FINE = frozenset({"", "0", "200", "ok", "success"})


def words_in(error: Mapping[str, Any]) -> str:
    """The error's words in lower case, as far as they are looked at."""
    fields = ("message", "code", "param", "detail", "details", "msg", "error_msg", "status_msg", "metadata")
    return " ".join(str(error[field]) for field in fields if error.get(field))[:MAX_SAID].lower()


def words_of(kind: FailureKind, error: Mapping[str, Any]) -> str:
    """The provider's own words, unless they are about a key: those tend to quote it."""
    said = next((error[field] for field in _WORDS if error.get(field)), None)
    return f": {mend(str(said)[:MAX_WORDS])}" if said and kind != "refused_key" else ""


def error_object(body: bytes) -> dict[str, Any]:
    """The error in a refusal's body: `{"error": {...}}`, `{"error": "text"}`, a list of one, or the bare object."""
    try:
        parsed = parse(body)
    except ValueError:
        return {}
    if isinstance(parsed, list) and parsed:
        parsed = parsed[0]
    return _flat(parsed) if isinstance(parsed, dict) else fields_of(parsed)


def error_in(chunk: Mapping[str, Any]) -> dict[str, Any] | None:
    """The error that a chunk or a body is, in one of the forms that gateways have for it; None if it is none."""
    if chunk.get("error"):
        return _flat(chunk)
    if isinstance(chunk.get("choices"), list):
        return None
    base = object_from(chunk.get("base_resp"))
    if base and str(base.get("status_code", 0)) != "0":
        return dict(base)
    is_error = chunk.get("object") == "error" or chunk.get("type") == "error" or chunk.get("errors")
    return _flat(chunk) if is_error or _complains(chunk) else None


def _complains(chunk: Mapping[str, Any]) -> bool:
    """Return true if an object without choices has words for an error; under some names only beside a code of one."""
    if "usage" in chunk:
        return False
    if any(isinstance(chunk.get(name), str) for name in ("message", "detail")):
        return True
    codes = [name_from(chunk.get(name)) or "" for name in ("code", "error_code")]
    has_code = any(code.lower() not in _FINE for code in codes)
    return has_code and any(isinstance(chunk.get(name), str) for name in ("msg", "error_msg"))


def fields_of(error: Any) -> dict[str, Any]:
    """An error as an object, where it is a text, a list of one, or wrapped in others."""
    for _ in range(_MOST_LAYERS):
        if isinstance(error, list) and error:
            error = error[0]
        elif isinstance(error, dict) and isinstance(error.get("error"), dict) and not error.get("message"):
            error = error["error"]
        else:
            break
    return error if isinstance(error, dict) else {"message": str(error)}


def _flat(parsed: Mapping[str, Any]) -> dict[str, Any]:
    """The part of an object that is the error, which may be all of it."""
    errors, error = parsed.get("errors"), parsed.get("error")
    if isinstance(errors, list) and errors:
        return fields_of(errors[0])
    if isinstance(error, str) and error:  # its code may stand beside it, and so may better words
        return {**parsed, "message": next((parsed[name] for name in _WORDS if parsed.get(name)), error)}
    if error and isinstance(error, dict | list):
        return fields_of(error)
    return dict(object_from(parsed.get("base_resp")) or parsed)
