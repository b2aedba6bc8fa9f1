"""The caller of a request and its scopes."""

from dataclasses import dataclass
from typing import get_args

from domain.errors import Forbidden
from domain.keys.ports import Scope
from domain.tenant_ids import DEFAULT

ALL_SCOPES: frozenset[Scope] = frozenset(get_args(Scope))


@dataclass(frozen=True, slots=True)
class Caller:
    """The key that a request came with, if any, its scopes, and the tenant that it acts in."""

    key_id: str | None
    scopes: frozenset[Scope]
    tenant_id: str = DEFAULT

    @property
    def id(self) -> str:
        """The key's id, or `anonymous`: who did it. What was made belongs to the tenant."""
        return self.key_id or "anonymous"

    def require(self, scope: Scope) -> None:
        """Return if the caller has the scope.

        Raises:
            domain.errors.Forbidden: the scope is missing.
        """
        if scope not in self.scopes:
            raise Forbidden(f"this needs the scope {scope}", scope=scope)


ANONYMOUS = Caller(None, ALL_SCOPES)
"""The caller without a key while authentication is off: all scopes, in the tenant `default`."""
