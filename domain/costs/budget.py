"""The budget of one run: each of its calls is reserved against the budget before it is made."""

from dataclasses import dataclass
from decimal import Decimal

from domain.costs.aggregate import CallIntent
from domain.costs.events import BudgetReserved, BudgetSettled, CallCut, CallFailed, CallSettled
from domain.errors import OverBudget
from domain.events import Cause, Event

ZERO = Decimal(0)


def stream(root_id: str) -> str:
    return f"budget:{root_id}"


@dataclass(frozen=True, slots=True)
class RunBudget:
    """US dollars: `spent` on calls with a known end, `reserved` for the worst cases of all others.

    Each event contains both sums, so that the last one is enough to continue from.
    """

    version: int = 0
    spent: Decimal = ZERO
    reserved: Decimal = ZERO


def budget_after(version: int, latest: Event | None) -> RunBudget:
    """Return the budget after its last event, which is number `version` of its stream."""
    if isinstance(latest, BudgetReserved | BudgetSettled):
        return RunBudget(version, latest.spent, latest.reserved)
    return RunBudget(version)


def reserve(budget: RunBudget, intent: CallIntent, attempt: int, cause: Cause) -> BudgetReserved:
    """Reserve the worst case of an attempt.

    Raises:
        OverBudget: the sum of spent, reserved and this worst case exceeds the budget.
    """
    root_id, limit = limit_of(intent)
    if budget.spent + budget.reserved + intent.worst_case > limit:
        raise OverBudget(
            f"the run's budget of ${limit:f} does not cover this call: ${budget.spent:f} are spent,"
            f" ${budget.reserved:f} reserved, and it may cost ${intent.worst_case:f}",
            budget_usd=limit,
            spent_usd=budget.spent,
            reserved_usd=budget.reserved,
            worst_case_usd=intent.worst_case,
        )
    return BudgetReserved(
        root_id=root_id,
        call_id=intent.call_id,
        attempt=attempt,
        budget_usd=limit,
        worst_case=intent.worst_case,
        spent=budget.spent,
        reserved=budget.reserved + intent.worst_case,
        **cause.fields(),
    )


def settle(budget: RunBudget, intent: CallIntent, ended: CallSettled | CallCut | CallFailed) -> BudgetSettled:
    """Replace the worst case of an attempt by its cost. An attempt without a known end keeps its worst case."""
    root_id, _ = limit_of(intent)
    cost = ZERO if isinstance(ended, CallFailed) else ended.cost
    return BudgetSettled(
        root_id=root_id,
        call_id=intent.call_id,
        attempt=ended.attempt,
        worst_case=intent.worst_case,
        cost=cost,
        spent=budget.spent + cost,
        reserved=budget.reserved - intent.worst_case,
        by=ended.by,
        tenant_id=ended.tenant_id,
        because=ended.because,
        at=ended.at,
    )


def limit_of(intent: CallIntent) -> tuple[str, Decimal]:
    """Return the root run of a call's budget, and the budget."""
    if intent.root_id is None or intent.budget_usd is None:
        raise ValueError("a budget needs an amount and a run that it belongs to")
    return intent.root_id, intent.budget_usd
