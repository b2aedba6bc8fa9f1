"""Compact JWS (RFC 7515) over statements: encoding, and verification against the public keys.

Decoding is strict: base64url and JSON have one form only, so that no two texts are the same signature.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson

from domain.signatures.key_ring import ALGORITHM, SigningKey, b64, unb64
from domain.signatures.ports import IsValid
from domain.signatures.statements import Statement, canonical

MAX_JWS = 8_192
"""Limit on the length of a signature that is read, in characters."""
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{86})")

Fault = Literal["malformed", "unknown_key", "bad_signature", "revoked_key"]
FAULTS: Mapping[Fault, str] = {
    "malformed": "it is not a signature of this platform",
    "unknown_key": "its key is not among the public keys",
    "bad_signature": "its bytes do not match its key: it was changed",
    "revoked_key": "its key was revoked before it was made",
}
"""Faults of signatures, in words."""


@dataclass(frozen=True, slots=True)
class Verification:
    """The signed statement and its key, or the fault. A statement under a `fault` proves nothing."""

    statement: Statement
    key_id: str | None = None
    fault: Fault | None = None


def protected_header(key_id: str) -> str:
    """Return the encoded header of signatures by this key."""
    return b64(canonical({"alg": ALGORITHM, "kid": key_id}))


def encode(header: str, statement: Statement, sign: Callable[[bytes], bytes]) -> str:
    """Return the compact JWS of a statement; `header` is a protected header."""
    signed = f"{header}.{b64(canonical(statement))}"
    return f"{signed}.{b64(sign(signed.encode()))}"


def key_id_of(jws: str) -> str:
    """Return the id of the key that a signature names.

    Raises:
        ValueError: it is not a signature of this platform.
    """
    parts = _decode(jws)
    if parts is None:
        raise ValueError(FAULTS["malformed"])
    return parts[0]


def statement_in(jws: str | None) -> Statement:
    """Return the statement in a signature without verifying it; an empty one if there is none."""
    parts = _decode(jws) if jws else None
    return parts[1] if parts else {}


def verify(jws: str, keys: Mapping[str, SigningKey], is_valid: IsValid) -> Verification:
    """Verify a signature of any origin."""
    parts = _decode(jws)
    if parts is None:
        return Verification({}, fault="malformed")
    key_id, statement, signature = parts
    key = keys.get(key_id)
    if key is None:
        return Verification(statement, key_id, "unknown_key")
    if not is_valid(key.public_key, signature, jws.rpartition(".")[0].encode()):
        return Verification(statement, key_id, "bad_signature")
    if key.invalid_from is not None and not _is_before(statement.get("at"), key.invalid_from):
        return Verification(statement, key_id, "revoked_key")
    return Verification(statement, key_id)


def _decode(jws: str) -> tuple[str, Statement, bytes] | None:
    """Return key id, statement and signature of a compact JWS in its canonical form; else None."""
    found = _COMPACT.fullmatch(jws) if len(jws) <= MAX_JWS else None
    if found is None:
        return None
    try:
        header, statement = (_canonical_object(unb64(part)) for part in found.groups()[:2])
        signature = unb64(found[3])
    except ValueError:
        return None
    key_id = header.get("kid")
    if header != {"alg": ALGORITHM, "kid": key_id} or not isinstance(key_id, str):
        return None
    return key_id, statement, signature


def _canonical_object(raw: bytes) -> dict[str, Any]:
    """Parse a flat object in canonical JSON.

    Raises:
        ValueError: it is not that.
    """
    value = orjson.loads(raw)
    if not isinstance(value, dict) or canonical(value) != raw:
        raise ValueError("not an object in canonical JSON")
    if not all(field is None or type(field) in {str, int} for field in value.values()):
        raise ValueError("a field is neither text nor a whole number")
    return value


def _is_before(at: object, moment: datetime) -> bool:
    try:
        return datetime.fromisoformat(at) < moment if isinstance(at, str) else False
    except (ValueError, TypeError):
        return False
