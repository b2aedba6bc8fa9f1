"""Delegation of a task to another agent, as a turn of that agent."""

from collections.abc import Callable
from dataclasses import dataclass

from temporalio import activity

from activities.tools.messages import ToolRun
from activities.turn_ref import TurnRef
from domain.agents.ports import AgentReads
from domain.chat.steps import decode_tool_reply
from domain.content import Content, ContentStore
from domain.errors import NotFound
from domain.ids import derived_id, nested_session_id, root_of
from domain.tenant_ids import tenant_of
from domain.tools.arguments import parse_arguments


@dataclass(frozen=True)
class Delegation:
    """The turn that the other agent takes; None when there is a `problem`, the text the model receives.

    `hold` is the risk level at which that agent's answers need an approval.
    """

    turn: TurnRef | None
    problem: str = ""
    hold: str | None = None


class DelegationActivities:
    """Looks up the agent that a task is for. A repeat gives the same turn unless the agent has changed meanwhile."""

    def __init__(self, content: ContentStore, agents: AgentReads) -> None:
        self._content = content
        self._agents = agents

    def all(self) -> list[Callable[..., object]]:
        return [self.delegate]

    @activity.defn(name="delegate", no_thread_cancel_exception=True)
    def delegate(self, run: ToolRun) -> Delegation:
        """Make the task the message of a turn of another agent, in a session nested in this one."""
        owner = root_of(run.turn.session_id)
        replied = self._content.get(owner, [run.reply_hash]).get(run.reply_hash)
        if replied is None:
            raise NotFound("the reply was erased")
        arguments = parse_arguments(decode_tool_reply(replied)[1][run.index].arguments)
        tenant_id = tenant_of(owner)
        wanted, task = str(arguments["agent_id"]), str(arguments["task"])
        try:
            agent = self._agents.get(tenant_id, wanted)
        except NotFound:
            return Delegation(None, f"There is no agent {wanted[:80]!r}.")
        if agent.deployed_version is None:
            return Delegation(None, f"The agent {agent.id} is not deployed.")
        if agent.id == run.turn.agent_id:
            return Delegation(None, "An agent cannot delegate to itself.")
        definition = self._agents.definition(tenant_id, agent.id, agent.deployed_version)
        turn = TurnRef(
            session_id=nested_session_id(owner, run.tool_call_id),
            turn=1,
            message_id=derived_id("delegate", run.tool_call_id),
            message_hash=self._content.put(Content(owner, task)),
            agent_id=agent.id,
            agent_version=agent.deployed_version,
            key_id=run.turn.key_id,
            because=run.turn.because,
        )
        return Delegation(turn, hold=None if definition.approval == "none" else definition.approval)
