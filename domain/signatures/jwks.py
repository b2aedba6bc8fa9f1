"""Public keys from a JWKS document, as `/api/v1/agents/signatures` publishes them."""

from datetime import UTC, datetime

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from domain.errors import Invalid
from domain.signatures.key_ring import SigningKey, thumbprint, unb64

_UNKNOWN = datetime.min.replace(tzinfo=UTC)


class _Jwk(BaseModel):
    model_config = ConfigDict(extra="ignore")

    kty: str
    crv: str = ""
    x: str = ""
    kid: str = ""
    created_at: AwareDatetime | None = None
    invalid_from: AwareDatetime | None = None


class _Jwks(BaseModel):
    model_config = ConfigDict(extra="ignore")

    keys: list[_Jwk]


def parse_jwks(document: bytes) -> dict[str, SigningKey]:
    """Return the Ed25519 keys of a JWKS by their ids; others are left out.

    Raises:
        Invalid: it is no JWKS, or a key is not the one that its id names.
    """
    try:
        keys = _Jwks.model_validate(orjson.loads(document)).keys
        return {key.kid: _signing_key(key) for key in keys if (key.kty, key.crv) == ("OKP", "Ed25519")}
    except (orjson.JSONDecodeError, ValidationError, ValueError) as error:
        raise Invalid("this is no JWKS with the public keys of a deployment") from error


def _signing_key(key: _Jwk) -> SigningKey:
    public = unb64(key.x)
    if thumbprint(public) != key.kid:
        raise ValueError(f"{key.kid} is not the thumbprint of its key")
    return SigningKey(key.kid, public, key.created_at or _UNKNOWN, key.invalid_from)
