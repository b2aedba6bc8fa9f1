"""The fold of what counts against limits.

The database keeps these rows itself, in the append of each event (`adapters/postgres/migrations/0035_limits.sql`). This
fold rebuilds them: so both are compared.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Context, Decimal
from typing import ClassVar, TypeVar

from domain.costs.events import CallCut, CallFailed, CallLost, CallReconciled, CallReserved, CallSettled
from domain.costs.limits.events import AllowanceGranted, LimitSet
from domain.costs.limits.scopes import WINDOWS, day_of, owner_of, scopes_of_call, window_start
from domain.events import RecordedEvent
from domain.projection import Key, Row, Rows

ZERO = Decimal(0)
_EXACT = Context(prec=300)


@dataclass(frozen=True, slots=True)
class Charge:
    """What calls cost, in US dollars: answered ones, open ones at their worst case, and unknown ones at theirs."""

    spent: Decimal = ZERO
    reserved: Decimal = ZERO
    unknown: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        return self.spent + self.reserved + self.unknown


@dataclass(frozen=True, slots=True)
class CounterRow:
    """The calls of one scope that were reserved on one day (UTC)."""

    TABLE: ClassVar[str] = "cost_counters"
    KEY: ClassVar[tuple[str, ...]] = ("scope", "day")

    scope: str
    day: date
    spent: Decimal = ZERO
    reserved: Decimal = ZERO
    unknown: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class LimitRow:
    """A limit in force."""

    TABLE: ClassVar[str] = "cost_limits"
    KEY: ClassVar[tuple[str, ...]] = ("scope", "period")

    scope: str
    period: str
    tenant_id: str
    limit_usd: Decimal
    on_breach: str
    version: int
    set_by: str
    set_at: datetime


@dataclass(frozen=True, slots=True)
class AllowanceRow:
    """What a run may spend beyond a limit in one window. Calls reserved after `position` count here instead."""

    TABLE: ClassVar[str] = "cost_allowances"
    KEY: ClassVar[tuple[str, ...]] = ("run_id", "scope", "period", "starts")

    run_id: str
    scope: str
    period: str
    starts: date
    granted: Decimal
    spent: Decimal
    reserved: Decimal
    unknown: Decimal
    position: int


@dataclass(frozen=True, slots=True)
class _Attempt:
    """An attempt at a call: where it counts, and what it counts."""

    scopes: Sequence[str]
    day: date
    run_id: str
    position: int
    worst_case: Decimal
    charge: Charge


C = TypeVar("C", CounterRow, AllowanceRow)
CallEnd = CallSettled | CallCut | CallFailed | CallLost | CallReconciled


class LimitsProjection:
    """`domain.projection.Projection` of limits, for rebuilds only: it keeps attempts, so it folds from the start."""

    name = "limits"
    kinds: tuple[type[Row], ...] = (CounterRow, LimitRow, AllowanceRow)

    def __init__(self) -> None:
        self._attempts: dict[tuple[str, int], _Attempt] = {}
        self._runs: set[str] = set()

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:
        del recorded
        return ()

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        match recorded.event:
            case CallReserved() as event:
                made = _Attempt(
                    scopes_of_call(
                        tenant_id=event.tenant_id,
                        key_id=event.key_id,
                        agent_id=event.agent_id,
                        workflow_id=event.workflow_id,
                        project_id=event.project_id,
                        enclosing_runs=event.enclosing_runs,
                    ),
                    day_of(event.at),
                    event.workflow_id,
                    recorded.position,
                    event.worst_case,
                    Charge(),
                )
                self._move((event.call_id, event.attempt), made, Charge(reserved=event.worst_case), rows)
            case CallSettled() | CallCut() | CallFailed() | CallLost() | CallReconciled() as event:
                name = event.call_id, event.attempt
                if known := self._attempts.get(name):
                    self._move(name, known, _charge(event, known), rows)
            case LimitSet() as event:
                _set(event, recorded.version, rows)
            case AllowanceGranted() as event:
                self._runs.add(event.run_id)
                _grant(event, recorded.position, rows)

    def _move(self, name: tuple[str, int], made: _Attempt, charge: Charge, rows: Rows) -> None:
        before = made.charge
        for scope in made.scopes:
            row = rows.get(CounterRow, scope, made.day) or CounterRow(scope, made.day)
            rows.put(_move_row(row, before, charge))
        if made.run_id in self._runs:
            for scope in made.scopes:
                for window in WINDOWS:
                    place = made.run_id, scope, window, window_start(window, made.day)
                    allowance = rows.get(AllowanceRow, *place)
                    if allowance is not None and allowance.position < made.position:
                        rows.put(_move_row(allowance, before, charge))
        self._attempts[name] = replace(made, charge=charge)


def _charge(event: CallEnd, made: _Attempt) -> Charge:
    match event:
        case CallLost():
            return Charge(unknown=made.worst_case)
        case CallFailed():
            return Charge()
        case _:
            return Charge(spent=event.cost)


def _move_row(row: C, before: Charge, after: Charge) -> C:
    return replace(
        row,
        spent=_plain(row.spent, after.spent, -before.spent),
        reserved=_plain(row.reserved, after.reserved, -before.reserved),
        unknown=_plain(row.unknown, after.unknown, -before.unknown),
    )


def _plain(*amounts: Decimal) -> Decimal:
    """Return the exact sum without zeros at its end, as PostgreSQL's `trim_scale` does."""
    total = ZERO
    for amount in amounts:
        total = _EXACT.add(total, amount)
    return _EXACT.normalize(total) if total else ZERO


def _set(event: LimitSet, version: int, rows: Rows) -> None:
    if event.limit_usd is None:
        rows.drop(LimitRow, event.scope, event.window)
        return
    owner = owner_of(event.scope)
    rows.put(LimitRow(event.scope, event.window, owner, event.limit_usd, event.on_breach, version, event.by, event.at))


def _grant(event: AllowanceGranted, position: int, rows: Rows) -> None:
    place = event.run_id, event.scope, event.window, event.starts
    known = rows.get(AllowanceRow, *place)
    granted = _plain(known.granted if known else ZERO, event.amount_usd)
    rows.put(
        replace(known, granted=granted) if known else AllowanceRow(*place, granted, ZERO, ZERO, ZERO, position=position)
    )
