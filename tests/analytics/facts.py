"""Every figure once more, by plain Python over the raw events: what the endpoints are compared with.

It shares nothing with the views but the events.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from domain.agents.aggregate import SEED
from domain.agents.events import AgentDefined, AgentDeployed, AgentRetired
from domain.approvals import events as approvals
from domain.chat import events as chat
from domain.costs import events as costs
from domain.events import Event, RecordedEvent
from domain.graphflow.execution.events import RunEnded, RunStarted
from domain.ledger import Ledger
from domain.swarm.events import SwarmRequested

Span = Callable[[datetime], bool]


@dataclass
class Call:
    """An attempt at a model call."""

    reserved: costs.CallReserved
    state: str = "reserved"
    cost: Decimal = Decimal(0)
    tokens: int = 0

    @property
    def open_cost(self) -> Decimal:
        return self.reserved.worst_case if self.state in {"reserved", "unknown"} else Decimal(0)


@dataclass
class Turn:
    """A turn since its last start."""

    started: chat.TurnStarted
    ended_at: datetime | None = None
    outcome: str | None = None
    was_held: bool = False

    @property
    def seconds(self) -> float | None:
        """The time to the answer; None if there is none, or a person was waited for."""
        if self.outcome != "completed" or self.was_held or self.ended_at is None:
            return None
        return (self.ended_at - self.started.at).total_seconds()


@dataclass
class Facts:
    """What has happened to one tenant."""

    tenant_id: str
    calls: dict[tuple[str, int], Call] = field(default_factory=dict)
    turns: dict[tuple[str, int], Turn] = field(default_factory=dict)
    sessions: dict[str, chat.SessionOpened] = field(default_factory=dict)
    ratings: dict[tuple[str, int], chat.TurnRated] = field(default_factory=dict)
    executions: dict[str, RunStarted] = field(default_factory=dict)
    ends: dict[str, RunEnded] = field(default_factory=dict)
    swarms: dict[str, SwarmRequested] = field(default_factory=dict)
    approvals: dict[str, str] = field(default_factory=dict)
    deployed: dict[str, bool] = field(default_factory=dict)

    def apply(self, recorded: RecordedEvent) -> None:
        event = recorded.event
        if isinstance(event, AgentDefined | AgentDeployed | AgentRetired):
            self._apply_agent(recorded.stream, event)
        if event.tenant_id != self.tenant_id:
            return
        for apply in (self._apply_call, self._apply_turn, self._apply_run, self._apply_approval):
            apply(event)

    def _apply_agent(self, stream: str, event: Event) -> None:
        """Agents that came with the platform are everybody's."""
        agent_id = stream.partition(":")[2]
        if event.tenant_id != self.tenant_id and event.by != SEED:
            return
        if isinstance(event, AgentDefined):
            self.deployed.setdefault(agent_id, False)
        elif isinstance(event, AgentDeployed):
            self.deployed[agent_id] = True
        else:
            self.deployed.pop(agent_id, None)

    def _apply_call(self, event: Event) -> None:
        match event:
            case costs.CallReserved():
                self.calls[event.call_id, event.attempt] = Call(event)
            case costs.CallSettled() | costs.CallCut():
                call = self.calls[event.call_id, event.attempt]
                call.state = "settled" if isinstance(event, costs.CallSettled) else "cut"
                call.cost, call.tokens = event.cost, event.prompt_tokens + event.completion_tokens
            case costs.CallFailed():
                self.calls[event.call_id, event.attempt].state = "failed"
            case costs.CallLost():
                self.calls[event.call_id, event.attempt].state = "unknown"

    def _apply_turn(self, event: Event) -> None:
        match event:
            case chat.SessionOpened():
                self.sessions[event.session_id] = event
            case chat.TurnStarted():
                self.turns[event.session_id, event.turn] = Turn(event)
            case chat.TurnHeld():
                self.turns[event.session_id, event.turn].was_held = True
            case chat.TurnAnswered():
                turn = self.turns[event.session_id, event.turn]
                turn.outcome, turn.ended_at = "completed", event.at
                turn.was_held = turn.was_held or event.approval_id is not None
            case chat.TurnFailed():
                turn = self.turns[event.session_id, event.turn]
                turn.outcome = {"REJECTED": "rejected", "CANCELLED": "cancelled"}.get(event.code, "failed")
                turn.ended_at = event.at
            case chat.TurnRated():
                self.ratings[event.session_id, event.turn] = event

    def _apply_run(self, event: Event) -> None:
        match event:
            case RunStarted():
                self.executions[event.execution_id] = event
            case RunEnded():
                self.ends[event.execution_id] = event
            case SwarmRequested():
                self.swarms[event.task_id] = event

    def _apply_approval(self, event: Event) -> None:
        match event:
            case approvals.ApprovalRequested():
                self.approvals[event.approval_id] = "pending"
            case approvals.ApprovalEscalated():
                self.approvals[event.approval_id] = "escalated"
            case approvals.ApprovalDecided():
                self.approvals[event.approval_id] = event.outcome
            case approvals.ApprovalExpired():
                self.approvals[event.approval_id] = "expired"
            case approvals.ApprovalWithdrawn():
                self.approvals[event.approval_id] = "withdrawn"

    def usage(self, span: Span, *, project_id: str | None = None) -> dict[str, Any]:
        """The figures of usage in a span, as the API names them."""

        def linked(project: str | None) -> bool:
            return project_id is None or project == project_id

        calls = [each for each in self.calls.values() if span(each.reserved.at) and linked(each.reserved.project_id)]
        own = {name: each for name, each in self.sessions.items() if "/" not in name and linked(each.project_id)}
        return {
            **call_figures(calls),
            "conversations": sum(span(each.at) for each in own.values()),
            "turns": sum(span(turn.started.at) for (session, _), turn in self.turns.items() if session in own),
            "executions": sum(
                span(each.at) and each.parent_id is None and linked(each.project_id)
                for each in self.executions.values()
            ),
            "swarms": sum(span(each.at) and linked(each.project_id) for each in self.swarms.values()),
        }

    def calls_by(self, span: Span, name: Callable[[costs.CallReserved], object]) -> dict[Any, dict[str, Any]]:
        """The figures of calls, by what `name` gives."""
        groups: dict[object, list[Call]] = defaultdict(list)
        for call in self.calls.values():
            if span(call.reserved.at):
                groups[name(call.reserved)].append(call)
        return {each: call_figures(calls) for each, calls in groups.items()}

    def quality(self, span: Span, agent_id: str | None = None) -> dict[str, Any]:
        """The figures of turns and ratings, of one agent or of all."""
        turns = [
            each for each in self.turns.values() if span(each.started.at) and agent_id in {None, each.started.agent_id}
        ]
        outcomes = [turn.outcome for turn in turns]
        completed, failed = outcomes.count("completed"), outcomes.count("failed")
        times = [turn.seconds for turn in turns if turn.seconds is not None]
        given = [each.rating for each in self.ratings.values() if span(each.at) and agent_id in {None, each.agent_id}]
        return {
            "turns_completed": completed,
            "turns_failed": failed,
            "success_rate": rounded(completed / (completed + failed)) if completed + failed else None,
            "response_time_avg": rounded(sum(times) / len(times)) if times else None,
            "response_time_p50": rounded(percentile(times, 0.5)),
            "response_time_p95": rounded(percentile(times, 0.95)),
            "response_time_p99": rounded(percentile(times, 0.99)),
            "ratings": len(given),
            "user_satisfaction": rounded(sum(given) / len(given)) if given else None,
        }

    def agents(self, span: Span) -> dict[str, dict[str, Any]]:
        """The figures of every agent that did anything, as the API names them."""
        calls = self.calls_by(span, lambda reserved: reserved.agent_id)
        opened = [each.agent_id for name, each in self.sessions.items() if "/" not in name and span(each.at)]
        turns = [(session, each.started.agent_id) for (session, _), each in self.turns.items() if span(each.started.at)]
        rated = [each.agent_id for each in self.ratings.values() if span(each.at)]
        names = {*calls, *opened, *rated, *(agent_id for _, agent_id in turns)}
        return {
            name: {
                "agent_id": name,
                "conversations": opened.count(name),
                "turns": sum("/" not in session and agent_id == name for session, agent_id in turns),
                **{key: calls.get(name, call_figures([]))[key] for key in ("tokens", "cost", "requests")},
                **self.quality(span, name),
            }
            for name in names
        }

    def newest_response_time(self, span: Span, agent_id: str) -> float | None:
        """The response time of the agent's turn that was answered last."""
        timed = [
            (turn.ended_at, turn.seconds)
            for turn in self.turns.values()
            if turn.ended_at and turn.seconds is not None
            if span(turn.started.at) and turn.started.agent_id == agent_id
        ]
        return rounded(max(timed, key=lambda each: each[0])[1]) if timed else None


def read_facts(ledger: Ledger, tenant_id: str) -> Facts:
    """Read the whole ledger."""
    facts, position = Facts(tenant_id), 0
    while events := ledger.after(position, 1000):
        for recorded in events:
            facts.apply(recorded)
        position = events[-1].position
    return facts


def on_day(day: date, time_zone: str = "UTC") -> Span:
    """Whether a moment is on this day of the time zone."""
    zone = ZoneInfo(time_zone)
    return lambda moment: moment.astimezone(zone).date() == day


def always(_: datetime) -> bool:
    return True


def call_figures(calls: Iterable[Call]) -> dict[str, Any]:
    """The figures of the cost ledger."""
    found = list(calls)
    states = [call.state for call in found]
    return {
        "cost": money(sum((call.cost for call in found), Decimal(0))),
        "tokens": sum(call.tokens for call in found),
        "requests": states.count("settled") + states.count("cut"),
        "reserved": states.count("reserved"),
        "failed": states.count("failed"),
        "unknown": states.count("unknown"),
        "open_cost": money(sum((call.open_cost for call in found), Decimal(0))),
    }


def money(amount: Decimal) -> float:
    """Dollars as the API shows them."""
    return float(amount.quantize(Decimal("0.000001")))


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value below which this share lies, interpolated between the two nearest."""
    ordered, place = sorted(values), share * (len(values) - 1)
    if not ordered:
        return None
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
