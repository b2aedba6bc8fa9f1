"""Sets limits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from domain.costs.limits.events import LimitSet, OnBreach, Window
from domain.costs.limits.scopes import owner_of
from domain.events import Cause
from domain.ids import random_id
from domain.ledger import Change, Ledger, retry_on_conflict
from domain.tenant_ids import EVERY


@dataclass(frozen=True, slots=True)
class LimitChange:
    """A limit as it is to be; without an amount there is none."""

    scope: str
    window: Window
    limit_usd: Decimal | None
    on_breach: OnBreach = "fail"


def stream(scope: str, window: Window) -> str:
    return f"limit:{scope}:{window}"


class LimitCommands:
    """Commands on limits, through the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def set_limits(self, wanted: Sequence[LimitChange], cause: Cause, *, check: Callable[[int], None]) -> None:
        """Set and remove limits, all or none. Nothing is recorded of those that stand as they are.

        `check` refuses if the version of one of them is not the one the caller knows.
        """

        def write() -> None:
            changes = [change for one in wanted if (change := self._change(one, cause, check)) is not None]
            if changes:
                self._ledger.append(*changes, key=random_id("change"))

        retry_on_conflict(write)

    def _change(self, wanted: LimitChange, cause: Cause, check: Callable[[int], None]) -> Change | None:
        name = stream(wanted.scope, wanted.window)
        version, latest = self._ledger.read_latest(name)
        check(version)
        known = latest if isinstance(latest, LimitSet) else None
        if (known.limit_usd if known else None) == wanted.limit_usd and (
            known is None or wanted.limit_usd is None or known.on_breach == wanted.on_breach
        ):
            return None
        owner = owner_of(wanted.scope)
        event = LimitSet(
            scope=wanted.scope,
            window=wanted.window,
            limit_usd=wanted.limit_usd,
            on_breach=wanted.on_breach,
            # the tenant whose limit it is, so that its audit shows it
            **replace(cause, tenant_id=cause.tenant_id if owner == EVERY else owner).fields(),
        )
        return Change(name, version, [event])
