"""The members of a swarm: their turns, their contributions, and their table in the Web UI."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.chat.messages import StepRequest
    from activities.swarm.messages import SwarmMember, SwarmRunRequest
    from activities.turn_ref import TurnRef
    from domain.ids import derived_id, nested_session_id
    from domain.swarm.members import seat
    from domain.swarm.plans import PLANS
    from domain.swarm.task import BY_COORDINATOR, MemberTurn, PlannedTurn, SwarmTask
    from workflows.turn.turn import TurnRunner
    from workflows.turn.types import TurnResult

REQUESTED_RISK = "medium"
"""Risk of a result that needs approval because the request says so."""
_RISKS = ("low", "medium", "high", "critical")


@dataclass
class SwarmProgress:
    """Contributions in the order of the plan, and running turns by member.

    `code` and `error` are those of the newest failed turn. `risk` is that of the result: the highest of the requested
    one and those of the agents whose answers went into it without an approval of their own.
    """

    asked: SwarmRunRequest
    task: SwarmTask
    spoken: list[MemberTurn] = field(default_factory=list)
    running: dict[str, TurnRef] = field(default_factory=dict)
    turns: Counter[str] = field(default_factory=Counter)
    over_budget: bool = False
    code: str | None = None
    error: str | None = None
    risk: str | None = None
    _stage: str = ""
    _doing: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.risk = REQUESTED_RISK if self.asked.require_approval else None

    async def run_turns(self, turns: TurnRunner, speaks: Sequence[PlannedTurn]) -> None:
        """Run turns concurrently; contributions are added in the order of `speaks`, whichever ends first."""
        said: list[MemberTurn | None] = [None] * len(speaks)
        self._stage = f"{speaks[0].stage} {speaks[0].round}" if speaks[0].round > 1 else speaks[0].stage

        async def one(place: int) -> None:
            said[place] = await self._run_turn(turns, speaks[place])

        try:
            ended = await asyncio.gather(*(one(place) for place in range(len(speaks))), return_exceptions=True)
        finally:  # contributions made before a cancellation are part of the partial result
            self.spoken += [spoken for spoken in said if spoken is not None]
        for failure in ended:
            if failure is not None:
                raise failure

    async def _run_turn(self, turns: TurnRunner, speak: PlannedTurn) -> MemberTurn:
        coordinating = speak.stage in BY_COORDINATOR
        seated, name = self._find_member(speak), seat(speak.member, coordinating=coordinating)
        turn = self.running[name] = self._next_turn(seated, name)
        self._mark(name, "is working")
        hold = None if speak.shape else seated.hold
        thought = StepRequest(turn, parts=list(speak.brief), shape=speak.shape, options=list(speak.options))
        taken = await turns.run(thought, hold=hold)
        del self.running[name]
        self._record_result(speak, seated, taken)
        self._mark(name, taken.error or taken.status)
        return MemberTurn(
            member=speak.member,
            stage=speak.stage,
            round=speak.round,
            status="completed"
            if taken.status == "completed"
            else "rejected"
            if taken.status == "rejected"
            else "failed",
            reply_hash=taken.reply_hash,
            named=tuple(taken.answer.named) if taken.answer and speak.shape else (),
        )

    def _find_member(self, speak: PlannedTurn) -> SwarmMember:
        if speak.stage in BY_COORDINATOR:
            return self.asked.coordinator
        return next(member for member in self.asked.members if member.agent_id == speak.member)

    def _next_turn(self, seated: SwarmMember, name: str) -> TurnRef:
        """Return a member's next turn: a session of its own within the swarm."""
        self.turns[name] += 1
        number, asked = self.turns[name], self.asked
        return TurnRef(
            session_id=nested_session_id(asked.task_id, name),
            turn=number,
            message_id=derived_id("swarm", asked.task_id, name, number),
            message_hash="",
            agent_id=seated.agent_id,
            agent_version=seated.agent_version,
            key_id=asked.key_id,
            because=asked.because,
        )

    def _record_result(self, speak: PlannedTurn, seated: SwarmMember, taken: TurnResult) -> None:
        if taken.status != "completed":
            self.code, self.error = taken.code, taken.error
            self.over_budget = self.over_budget or taken.code == "BUDGET_EXCEEDED"
        elif speak.shape and seated.hold:
            self.risk = max((risk for risk in (self.risk, seated.hold) if risk), key=_RISKS.index)

    async def fail_turns(self, turns: TurnRunner, reason: str) -> None:
        """Record that the running turns have failed."""
        for name, turn in self.running.items():
            await turns.fail_turn(turn, 1, "CANCELLED", reason)
            self._mark(name, "cancelled")

    def show_approval_wait(self, approval: str) -> None:
        """Show that the swarm waits for an approval."""
        self.update_details(f"waiting for `{approval}`")

    def _mark(self, name: str, doing: str) -> None:
        self._doing[name] = doing
        self.update_details(f"stage: {self._stage}")

    def update_details(self, what: str) -> None:
        """Update the details in the Web UI."""
        done, planned = len(self.spoken), PLANS[self.task.mode].planned_turns(self.task)
        names = [*self.task.members, seat(self.task.coordinator, coordinating=True)]
        rows = [f"| {name} | {self.turns[name]} | {self._doing.get(name, 'waiting')} |" for name in names]
        table = "\n".join(["| who | turns | state |", "|---|---|---|", *rows])
        workflow.set_current_details(f"**{self.task.mode}** · {what} · {done} of {planned} turns at most\n\n{table}")
