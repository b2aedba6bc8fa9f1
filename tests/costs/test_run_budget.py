"""The budget of a swarm on the whole system: what its members spend side by side never exceeds it."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from domain.costs import budget
from domain.costs.events import BudgetReserved, BudgetSettled
from runtime.settings import Settings
from tests.scripted_model import ScriptedModel
from tests.swarm.talk import done
from tests.system import System, running


@pytest.fixture
async def priced(system_settings: Settings, prices: Path) -> AsyncIterator[System]:
    async with running(system_settings.model_copy(update={"prices": prices})) as system:
        yield system


def moves(system: System, task_id: str) -> list[BudgetReserved | BudgetSettled]:
    events = system.parts.ledger.read(budget.stream(task_id))
    return [event for event in events if isinstance(event, BudgetReserved | BudgetSettled)]


async def test_members_that_race_for_a_small_budget_are_stopped_by_it(
    priced: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(default={"delay_s": 0.5})
    first = await done(priced, "parallel", budget_usd=5)
    worst = min(move.worst_case for move in moves(priced, first["task_id"]))
    scripted_model.reset()
    scripted_model.script(default={"delay_s": 0.5})
    limit = float(worst) * 2.5
    swarm = await done(priced, "parallel", budget_usd=limit)
    assert swarm["status"] == "budget_exceeded"
    assert [entry["state"] for entry in scripted_model.bill()] == ["finished"] * 2
    assert 0 < swarm["cost"] <= limit
    sums = [(move.spent, move.reserved) for move in moves(priced, swarm["task_id"])]
    assert max(spent + reserved for spent, reserved in sums) <= Decimal(str(limit))
    spent, reserved = sums[-1]
    assert (reserved, float(spent)) == (0, pytest.approx(swarm["cost"], abs=1e-6))


async def test_a_budget_that_suffices_is_not_noticed_and_shows_what_was_spent(priced: System) -> None:
    swarm = await done(priced, "collaborative", budget_usd=5)
    assert swarm["status"] == "completed"
    last = moves(priced, swarm["task_id"])[-1]
    assert (last.reserved, float(last.spent)) == (0, pytest.approx(swarm["cost"], abs=1e-6))


async def test_a_budget_too_small_for_any_call_costs_nothing(priced: System, scripted_model: ScriptedModel) -> None:
    swarm = await done(priced, "sequential", budget_usd=0.00001)
    assert (swarm["status"], swarm["cost"], scripted_model.bill()) == ("budget_exceeded", 0, [])
    assert moves(priced, swarm["task_id"]) == []
