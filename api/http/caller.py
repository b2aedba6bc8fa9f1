"""The caller of a request and its scopes."""

from dataclasses import dataclass
from typing import Literal, get_args

from domain.errors import Forbidden

Scope = Literal["read", "write", "approve", "admin", "metrics"]
ALL_SCOPES: frozenset[Scope] = frozenset(get_args(Scope))


@dataclass(frozen=True, slots=True)
class Caller:
    """The API key of a request, if any, and its scopes."""

    key_id: str | None
    scopes: frozenset[Scope]

    @property
    def id(self) -> str:
        """The key's id, or `anonymous`: the owner of sessions and idempotency keys."""
        return self.key_id or "anonymous"

    def require(self, scope: Scope) -> None:
        """Return if the caller has the scope.

        Raises:
            domain.errors.Forbidden: the scope is missing.
        """
        if scope not in self.scopes:
            raise Forbidden(f"this needs the scope {scope}", scope=scope)


ANONYMOUS = Caller(None, ALL_SCOPES)
"""The caller without a key while keys are not required, with all scopes."""
