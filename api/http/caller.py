"""Who calls, and what they may do."""

from dataclasses import dataclass
from typing import Literal, get_args

from domain.errors import Forbidden

Scope = Literal["read", "write", "approve", "admin", "metrics"]
ALL_SCOPES: frozenset[Scope] = frozenset(get_args(Scope))


@dataclass(frozen=True, slots=True)
class Caller:
    """The key that a request came with, if any, and its scopes."""

    key_id: str | None
    scopes: frozenset[Scope]

    @property
    def id(self) -> str:
        """The key's id, or `anonymous`: what sessions and idempotency keys belong to."""
        return self.key_id or "anonymous"

    def require(self, scope: Scope) -> None:
        """Refuse what the key's scopes do not reach.

        Raises:
            domain.errors.Forbidden: the scope is missing.
        """
        if scope not in self.scopes:
            raise Forbidden(f"this needs the scope {scope}", scope=scope)


ANONYMOUS = Caller(None, ALL_SCOPES)
"""Whoever sends no key while keys are not asked for: they may do everything."""
