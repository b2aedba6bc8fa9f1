"""Names of agents: the derivation of ids, and the ownership of names.

An agent owns its id for ever, and the names and aliases of its deployed and its newest version until it is retired.
Each name is a stream of its own with one owner at a time: of two concurrent claims one is refused.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from domain.agents.aggregate import RegisteredAgent
from domain.agents.definition import AgentDefinition
from domain.agents.events import NameClaimed, NameReleased
from domain.display_names import fold_name, id_part
from domain.errors import Conflict, Invalid
from domain.events import Cause, Event
from domain.ledger import Change
from domain.tenant_ids import stream_prefix

ALI = "ali_chief_of_staff"
"""Id of Ali, who answers questions about the platform and coordinates where nobody else is named."""
RESERVED = frozenset({"ali", "chat", "create", "signatures", "validate"})
"""Ids that would collide with parts of API paths."""

_LONGEST_ID = 64


@dataclass(frozen=True, slots=True)
class AgentName:
    """A folded name of an agent: its `name`, or its `id` (aliases included)."""

    kind: Literal["name", "id"]
    text: str

    def stream(self, tenant_id: str) -> str:
        """Where a tenant records whose the name is."""
        return f"{stream_prefix('agent_name', tenant_id)}{self.kind}:{self.text}"


@dataclass(frozen=True, slots=True)
class AgentNames:
    """An agent of the registry by its names. A retired one keeps its id only."""

    agent_id: str
    name: str
    aliases: Sequence[str]
    retired: bool

    def names(self) -> frozenset[AgentName]:
        named = {AgentName("name", fold_name(self.name)), *(AgentName("id", alias) for alias in self.aliases)}
        return frozenset({AgentName("id", self.agent_id)} | (set() if self.retired else named))


def slug(name: str) -> str:
    """Return the id for an agent of this name: letters, digits and underscores, 2 to 64 of them, a letter first."""
    words = id_part(name)
    if len(words) == 1 or not words[0].isalpha():
        words = f"agent_{words}"
    if words in RESERVED:
        words = f"{words}_agent"
    return words[:_LONGEST_ID].rstrip("_")


def refuse_reserved(aliases: Iterable[str]) -> None:
    """Return if none of the aliases is part of a path.

    Raises:
        Invalid: one is.
    """
    if reserved := sorted(RESERVED & set(aliases)):
        reason = f"{', '.join(reserved)}: part of a path"
        raise Invalid(f"aliases: {reason}", field="aliases", reason=reason)


def names_of(definition: AgentDefinition) -> frozenset[AgentName]:
    """Return the names of one version."""
    return AgentNames(definition.id, definition.name, definition.aliases, retired=False).names()


def owned_names(agent: RegisteredAgent) -> frozenset[AgentName]:
    """Return the names that the agent owns."""
    if not agent.versions:
        return frozenset()
    newest = agent.versions[-1].definition
    if agent.retired:
        return frozenset({AgentName("id", newest.id)})
    return names_of(newest) | (names_of(agent.version(agent.deployed).definition) if agent.deployed else frozenset())


def owner_of(claims: Iterable[Event]) -> str | None:
    """Return the owner of a name, by the events of its stream; None if it is free."""
    agent_id = None
    for event in claims:
        if isinstance(event, NameClaimed):
            agent_id = event.agent_id
        elif isinstance(event, NameReleased):
            agent_id = None
    return agent_id


def refuse_taken(
    agent_id: str,
    wanted: Collection[AgentName],
    claims: Mapping[str, Sequence[Event]],
    known: Iterable[AgentNames],
    tenant_id: str,
) -> None:
    """Return if nobody else in the tenant has one of these names: by the streams of the names, or in the registry.

    `known` are the agents that the tenant sees, and so the built-in ones too.

    Raises:
        Conflict: somebody has; `agent_id` says who.
    """
    for name in sorted(wanted, key=_order):
        owner = owner_of(claims.get(name.stream(tenant_id), ()))
        if owner is not None and owner != agent_id:
            raise _name_conflict(name, owner)
    for other in known:
        if other.agent_id != agent_id and (shared := other.names() & set(wanted)):
            raise _name_conflict(min(shared, key=_order), other.agent_id)


def name_changes(
    agent_id: str, before: RegisteredAgent, after: RegisteredAgent, claims: Mapping[str, Sequence[Event]], cause: Cause
) -> list[Change]:
    """Return the changes to the streams of names: new names are claimed, those left behind released."""
    had, has = owned_names(before), owned_names(after)
    changes: list[Change] = []
    for name in sorted(had ^ has, key=_order):
        stream = name.stream(cause.tenant_id)
        stands = claims.get(stream, ())
        is_ours = owner_of(stands) == agent_id
        if (name in has) != is_ours:
            event = NameClaimed if name in has else NameReleased
            changes.append(Change(stream, len(stands), [event(agent_id=agent_id, **cause.fields())]))
    return changes


def _order(name: AgentName) -> tuple[str, str]:
    return name.kind, name.text


def _name_conflict(name: AgentName, owner: str) -> Conflict:
    field = "name" if name.kind == "name" else "aliases"
    return Conflict(f"{name.text} already names {owner}", field=field, agent_id=owner)
