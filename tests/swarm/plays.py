"""Plans played to their end without anybody speaking: what becomes of each turn is told."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from domain.swarm.plans import PLANS
from domain.swarm.shapes import FINISH
from domain.swarm.task import BY_COORDINATOR, MemberTurn, PlannedTurn, SwarmOutcome, SwarmTask

MEMBERS = ("ada", "bea", "cleo")
CHIEF = "ali"

Status = Literal["completed", "failed", "rejected"]
Fate = Callable[[PlannedTurn, tuple[MemberTurn, ...]], Status]
Naming = Callable[[PlannedTurn, tuple[MemberTurn, ...]], tuple[str, ...]]


def a_task(mode: str, members: tuple[str, ...] = MEMBERS, **more: object) -> SwarmTask:
    return SwarmTask(mode=mode, members=members, coordinator=CHIEF, task_hash="task", **more)  # type: ignore[arg-type]


@dataclass
class Play:
    """The turns of a plan, a list of those side by side, and how it ended."""

    task: SwarmTask
    batches: list[tuple[PlannedTurn, ...]] = field(default_factory=list)
    spoken: tuple[MemberTurn, ...] = ()
    over: SwarmOutcome | None = None

    @property
    def turns(self) -> list[PlannedTurn]:
        return [speak for batch in self.batches for speak in batch]

    def order(self) -> list[str]:
        """`stage: who who` for each batch."""
        return [f"{batch[0].stage}: {' '.join(speak.member for speak in batch)}" for batch in self.batches]


def all_complete(_: PlannedTurn, __: tuple[MemberTurn, ...]) -> Status:
    return "completed"


def obvious(speak: PlannedTurn, spoken: tuple[MemberTurn, ...]) -> tuple[str, ...]:
    """Each gets a part, two options, all choose the first; work goes to whoever is next and had none."""
    if speak.shape == "swarm_split":
        return speak.options
    if speak.shape == "swarm_options":
        return ("option_1", "option_2")
    if speak.shape == "swarm_handoff":
        had = {one.member for one in spoken}
        return (next((option for option in speak.options if option not in {*had, FINISH}), FINISH),)
    return speak.options[:1]


def play(task: SwarmTask, fate: Fate = all_complete, naming: Naming = obvious, most: int = 500) -> Play:
    plan, played = PLANS[task.mode], Play(task)
    while len(played.batches) < most:
        found = plan.next_turns(task, played.spoken)
        if isinstance(found, SwarmOutcome):
            played.over = found
            return played
        assert found, "a plan that is not over lets somebody speak"
        played.batches.append(found)
        played.spoken += tuple(_said(speak, played, fate, naming) for speak in found)
    raise AssertionError("it does not end")


def _said(speak: PlannedTurn, played: Play, fate: Fate, naming: Naming) -> MemberTurn:
    status = fate(speak, played.spoken)
    if status != "completed":
        return MemberTurn(speak.member, speak.stage, speak.round, status)
    named = naming(speak, played.spoken) if speak.shape else ()
    seat = "coordinator/" if speak.stage in BY_COORDINATOR else ""
    return MemberTurn(
        speak.member, speak.stage, speak.round, status, f"{seat}{speak.member}-{speak.stage}{speak.round}", named
    )


def failing(*who: tuple[str, str]) -> Fate:
    """Those fail at these stages: (agent, stage)."""
    return lambda speak, _: "failed" if (speak.member, speak.stage) in who else "completed"
