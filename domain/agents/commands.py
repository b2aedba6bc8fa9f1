"""Commands on agents, through the ledger."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from domain.agents import names
from domain.agents.aggregate import SEED, RegisteredAgent, define, deploy, evolve_all, retire, revive, stream
from domain.agents.definition import AgentDefinition, fingerprint
from domain.agents.policy import seed_events
from domain.agents.ports import AgentReads
from domain.agents.tools import canonical
from domain.display_names import fold_name
from domain.errors import Conflict, Forbidden, NotFound, VersionConflict
from domain.events import Cause, Event
from domain.ids import derived_id, random_id
from domain.ledger import Change, Ledger, retry_on_conflict
from domain.tenant_ids import DEFAULT

Check = Callable[[int], None]
"""Refuses if the agent's version is not the one the caller knows."""


class AgentCommands:
    """What people do to their tenant's agents. `servers` are the MCP servers whose tools agents may be given.

    The built-in agents are every tenant's to see, and nobody's to change.
    All commands raise `domain.errors.Unavailable` where the ledger cannot be reached.
    """

    def __init__(self, ledger: Ledger, agents: AgentReads, servers: Collection[str] = ()) -> None:
        self._ledger = ledger
        self._agents = agents
        self._servers = servers

    def load(self, tenant_id: str, agent_id: str) -> RegisteredAgent:
        """The agent of this tenant, or the built-in one, as it stands.

        Raises:
            NotFound: there is none of this id.
        """
        own = self._own(tenant_id, agent_id)
        agent = own if own.versions else self._built_in(agent_id)
        if not agent.versions:
            raise NotFound(f"there is no agent {agent_id}")
        return agent

    def _own(self, tenant_id: str, agent_id: str) -> RegisteredAgent:
        return evolve_all(RegisteredAgent(), self._ledger.read(stream(tenant_id, agent_id)))

    def _built_in(self, agent_id: str) -> RegisteredAgent:
        agent = self._own(DEFAULT, agent_id)
        return agent if agent.built_in else RegisteredAgent()

    def create(self, definition: AgentDefinition, cause: Cause, *, key: str) -> RegisteredAgent:
        """Define a new agent, or one anew that is retired. It takes no messages before it is deployed.

        Raises:
            Conflict: its id, its name or an alias is taken.
            Invalid: a tool is unknown, or an alias is part of a path.
        """
        names.refuse_reserved(definition.aliases)
        tenant_id = cause.tenant_id
        own = {"id": self._id_of(definition, tenant_id), "tools": canonical(definition.tools)}
        definition = definition.model_copy(update=own)
        if self._built_in(definition.id).versions:
            raise Conflict(f"{definition.id} is a built-in agent", field="name", agent_id=definition.id)
        events = define(RegisteredAgent(), definition, cause, self._servers)

        def write() -> RegisteredAgent:
            try:
                return self._append(definition.id, RegisteredAgent(), events, cause, key)
            except VersionConflict:  # a repeat would have been known by its key
                gone = self._own(tenant_id, definition.id)
                if not gone.versions:
                    raise
                return self._append(definition.id, gone, revive(gone, definition, cause, self._servers), cause, key)

        return retry_on_conflict(write)

    def _id_of(self, definition: AgentDefinition, tenant_id: str) -> str:
        """Return the id of the agent that has or had this name, since ids need not be derived from names."""
        if self._ledger.read(stream(tenant_id, definition.id)):
            return definition.id
        same = (known for known in self._agents.names(tenant_id) if fold_name(known.name) == fold_name(definition.name))
        return next((known.agent_id for known in same), definition.id)

    def update(self, agent_id: str, changes: Mapping[str, Any], cause: Cause, *, check: Check) -> RegisteredAgent:
        """Write down a new version that differs from the newest in these fields; it is not deployed by that.

        Raises:
            NotFound: there is no such agent.
            Forbidden: it is built in.
            Conflict: it is retired, or its new name or an alias is taken.
            Invalid: a new tool is unknown, or an alias is part of a path.
        """

        def decide(agent: RegisteredAgent) -> Sequence[Event]:
            newest = agent.versions[-1].definition
            fields = {**newest.model_dump(), **changes}
            fields["tools"] = canonical(fields["tools"])
            names.refuse_reserved(changes.get("aliases", ()))
            return define(agent, AgentDefinition.model_validate(fields), cause, self._servers)

        return self._change(agent_id, decide, cause, key=random_id("change"), check=check)

    def deploy(
        self, agent_id: str, version: int | None, environment: str | None, cause: Cause, *, key: str
    ) -> RegisteredAgent:
        """Let new work get this version, or the newest.

        Raises:
            NotFound: there is no such agent or version.
            Forbidden: it is built in.
            Conflict: it is retired, or another agent has a name of that version by now.
        """

        def decide(agent: RegisteredAgent) -> Sequence[Event]:
            return deploy(agent, version or len(agent.versions), cause, environment)

        return self._change(agent_id, decide, cause, key=key)

    def retire(self, agent_id: str, cause: Cause, *, check: Check) -> RegisteredAgent:
        """Take the agent out of service for new work, and give its names back.

        Raises:
            NotFound: there is no such agent.
            Forbidden: it is built in.
        """
        return self._change(agent_id, partial(retire, cause=cause), cause, key=random_id("change"), check=check)

    def _change(
        self,
        agent_id: str,
        decide: Callable[[RegisteredAgent], Sequence[Event]],
        cause: Cause,
        *,
        key: str,
        check: Check = lambda _: None,
    ) -> RegisteredAgent:
        def write() -> RegisteredAgent:
            agent = self.load(cause.tenant_id, agent_id)
            if agent.built_in:
                raise Forbidden("a built-in agent cannot be changed: make one of your own", agent_id=agent_id)
            check(agent.changes)
            return self._append(agent_id, agent, decide(agent), cause, key)

        return retry_on_conflict(write)

    def _append(
        self, agent_id: str, before: RegisteredAgent, events: Sequence[Event], cause: Cause, key: str
    ) -> RegisteredAgent:
        if not events:
            return before
        after = evolve_all(before, events)
        had, has = names.owned_names(before), names.owned_names(after)
        tenant_id = cause.tenant_id
        claims = self._ledger.read_many([name.stream(tenant_id) for name in had ^ has])
        names.refuse_taken(agent_id, has - had, claims, self._agents.names(tenant_id), tenant_id)
        moved = names.name_changes(agent_id, before, after, claims, cause)
        self._ledger.append(Change(stream(tenant_id, agent_id), before.changes, events), *moved, key=key)
        return self.load(tenant_id, agent_id)


def seed(ledger: Ledger, definitions: Iterable[AgentDefinition], at: datetime) -> list[str]:
    """Bring the registry to the state of the agents' files; return the ids of the agents that changed.

    What exists is left as it is; so is an agent whose deployed version somebody else made or deployed, and one of whose
    names was given to another agent.

    Raises:
        Invalid: a definition names an unknown tool.
        domain.errors.Unavailable: the ledger cannot be reached.
    """
    return [d.id for d in definitions if retry_on_conflict(partial(_seed_one, ledger, d, at))]


def _seed_one(ledger: Ledger, definition: AgentDefinition, at: datetime) -> bool:
    cause = Cause(by=SEED, because=f"agents/{definition.id}.md", at=at, tenant_id=DEFAULT)
    own = stream(DEFAULT, definition.id)
    past = ledger.read(own)
    events = seed_events(evolve_all(RegisteredAgent(), past), definition, cause)
    if not events or _is_named_otherwise(ledger, definition):
        return False
    # The stream's length is part of the key: a file that goes back to an earlier text is a change again.
    key = derived_id("agents.seed", definition.id, fingerprint(definition), len(past))
    return ledger.append(Change(own, len(past), events), key=key) is not None


def _is_named_otherwise(ledger: Ledger, definition: AgentDefinition) -> bool:
    claims = ledger.read_many([name.stream(DEFAULT) for name in names.names_of(definition)])
    return not {names.owner_of(events) for events in claims.values()} <= {None, definition.id}
