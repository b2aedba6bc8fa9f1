"""Identity providers whose tokens are accepted, and what the claims of a token make its bearer."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from ipaddress import ip_address
from typing import Annotated, Any, Literal, Self, cast, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from domain.errors import Forbidden, Unauthenticated
from domain.keys.ports import GrantableScope, Scope, StoredKey
from domain.tenant_ids import TENANT_ID

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"
]  # fmt: skip
"""Signatures by a private key. None is by a shared secret, and none is empty."""
MAX_SUBJECT = 255

_SCOPES = frozenset(get_args(GrantableScope))


def is_trusted_url(url: str) -> bool:
    """Return true for `https`, and for `http` on loopback: nobody can change what comes from there on its way."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    if parts.scheme == "https":
        return bool(host)
    return parts.scheme == "http" and _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_url(url: str) -> str:
    if not is_trusted_url(url):
        raise ValueError("must be https, or http on loopback")
    return url


_Url = Annotated[str, Field(max_length=2000), AfterValidator(_check_url)]
_Tenant = Annotated[str, Field(pattern=TENANT_ID)]
_Claim = Annotated[str, Field(min_length=1, max_length=200)]


class OidcIssuer(BaseModel):
    """An identity provider, and the mapping of its tokens' claims to tenant and scopes.

    `tenant_id` is the tenant of all its tokens; else `tenant_claim` names the claim that has it, by `tenants` if the
    provider's values are not ids of tenants. `scopes` are given to every token; values of `scopes_claim` add to them,
    by `scopes_by_value` if the provider's values are not names of scopes. People can log in if `client_id` is set, and
    `redirect_uri`, the address of `/api/v1/auth/callback` as browsers see it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: _Url
    audience: Annotated[str, Field(min_length=1)] | Annotated[tuple[str, ...], Field(min_length=1)]
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256", "ES256", "EdDSA")
    clock_skew_s: Annotated[int, Field(ge=0, le=60)] = 30
    jwks_uri: _Url | None = None
    tenant_id: _Tenant | None = None
    tenant_claim: _Claim | None = None
    tenants: Mapping[str, _Tenant] = Field(default_factory=dict)
    scopes: tuple[GrantableScope, ...] = ()
    scopes_claim: _Claim | None = None
    scopes_by_value: Mapping[str, tuple[GrantableScope, ...]] = Field(default_factory=dict)
    client_id: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    client_secret: SecretStr | None = None
    redirect_uri: _Url | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.tenant_id is None) == (self.tenant_claim is None):
            raise ValueError(f"{self.issuer}: give either tenant_id or tenant_claim")
        if (self.client_id is None) != (self.redirect_uri is None):
            raise ValueError(f"{self.issuer}: logins need both client_id and redirect_uri")
        if not self.scopes and self.scopes_claim is None:
            raise ValueError(f"{self.issuer}: give scopes or scopes_claim, or its tokens may do nothing")
        return self

    @property
    def audiences(self) -> list[str]:
        return [self.audience] if isinstance(self.audience, str) else list(self.audience)

    def caller(self, claims: Mapping[str, Any]) -> StoredKey:
        """Return what the bearer of a token with these claims is and may do. The claims must have been verified.

        Raises:
            Unauthenticated: the subject is none.
            Forbidden: no tenant is named, or one that cannot be.
        """
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT:
            raise Unauthenticated("the token names no subject")
        return StoredKey(subject_id(self.issuer, subject), self._scopes_of(claims), self._tenant_of(claims))

    def _tenant_of(self, claims: Mapping[str, Any]) -> str:
        if self.tenant_id is not None:
            return self.tenant_id
        values = list(_values(claims, self.tenant_claim or ""))
        if len(values) != 1:
            raise Forbidden("the token does not name one tenant")
        tenant_id = self.tenants.get(values[0]) if self.tenants else values[0]
        if tenant_id is None:
            raise Forbidden("the token's tenant is not one of this platform's")
        return tenant_id

    def _scopes_of(self, claims: Mapping[str, Any]) -> frozenset[Scope]:
        scopes: set[Scope] = set(self.scopes)
        for value in _values(claims, self.scopes_claim) if self.scopes_claim else ():
            if self.scopes_by_value:
                scopes.update(self.scopes_by_value.get(value, ()))
            elif value in _SCOPES:
                scopes.add(cast("Scope", value))
        return frozenset(scopes)


def subject_id(issuer: str, subject: str) -> str:
    """Return the id of a subject of an issuer, as events have it: the same for ever, and it names nobody by itself."""
    named = f"{issuer}\x1f{subject}"
    return f"oidc_{sha256(named.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def _values(claims: Mapping[str, Any], name: str) -> Iterable[str]:
    """Return the texts of a claim: a text is split at spaces, as `scope` is. `a.b` is b in a, unless it is a name."""
    value: object = claims
    for part in (name,) if name in claims else name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, str):
        return value.split()
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else ()
