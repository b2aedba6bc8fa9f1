"""Reads the material of prompts: agent definitions and the texts of earlier turns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from activities.chat.turn_signature import find_previous_answer
from domain.agents.definition import AgentDefinition
from domain.agents.ports import AgentReads
from domain.chat.forks import InheritedTurns, session_of_turn
from domain.chat.turns import load_turn, turn_stream
from domain.content import ContentStore
from domain.errors import NotFound
from domain.ids import root_of
from domain.ledger import Ledger
from domain.signatures.statements import PreviousAnswer

_MOST_KNOWN = 50_000
_MOST_DEFINITIONS = 1_000
MOST_TURNS = 10_000
"""Limit on the turns of one look-up: turn numbers come through Temporal, so they may be anything."""


class RememberedRange(Protocol):
    """The first turn that prompts contain word for word, and the summary of those before."""

    @property
    def first(self) -> int: ...

    @property
    def summary_hash(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class SessionTexts:
    """Texts of a session: turns as (message, reply), oldest first, and others by their hashes."""

    turns: tuple[tuple[str, str], ...]
    texts: dict[str, str]


class ChatHistory:
    """Reads agent definitions and texts. The hashes of answered turns never change and are cached; texts are not.

    `recent` caches texts for a short time. It is used only where a run reads its own texts: earlier turns are always
    read from the store, so that an erased text is gone at once.
    """

    def __init__(
        self, ledger: Ledger, content: ContentStore, agents: AgentReads, *, recent: ContentStore | None = None
    ) -> None:
        self._ledger = ledger
        self._content = content
        self._recent = recent or content
        self._answered: dict[str, tuple[str, str]] = {}
        self._agents = agents
        self._definitions: dict[tuple[str, str, int], AgentDefinition] = {}

    def cached_definition(self, tenant_id: str, agent_id: str, version: int) -> AgentDefinition | None:
        """A version of a tenant's agent that was read before: versions do not change."""
        return self._definitions.get((tenant_id, agent_id, version))

    def definition(self, tenant_id: str, agent_id: str, version: int) -> AgentDefinition:
        """A version of an agent that a tenant sees.

        Raises:
            NotFound: there is none.
        """
        definition = self._agents.definition(tenant_id, agent_id, version)
        if len(self._definitions) >= _MOST_DEFINITIONS:
            self._definitions.clear()
        self._definitions[tenant_id, agent_id, version] = definition
        return definition

    def read_texts(
        self, session_id: str, first: int, last: int, *hashes: str | None, lineage: Sequence[InheritedTurns] = ()
    ) -> SessionTexts:
        """Read the answered turns `first` to `last`, and the texts of these hashes; erased texts are left out.

        Of more than `MOST_TURNS` turns the oldest are left out. A fork's inherited turns, and a summary of them, are
        read from the sessions that `lineage` names.
        """
        numbers = range(max(first, last - MOST_TURNS + 1), last + 1)
        spoken = self._answered_turns([(session_of_turn(session_id, lineage, turn), turn) for turn in numbers])
        own = root_of(session_id)
        wanted: dict[str, set[str]] = {own: {h for h in hashes if h}}
        for owner, pair in spoken:
            wanted.setdefault(owner, set()).update(pair)
        store = self._content if spoken or lineage else self._recent
        texts = {owner: _texts(store, owner, of_owner) for owner, of_owner in wanted.items()}
        turns = tuple(
            (texts[owner][said], texts[owner][reply])
            for owner, (said, reply) in spoken
            if said in texts[owner] and reply in texts[owner]
        )
        return SessionTexts(turns, self._with_inherited(texts[own], wanted[own], lineage))

    def message(self, words: SessionTexts, message_hash: str) -> str:
        """Return the message to answer.

        Raises:
            NotFound: it was erased.
        """
        if message_hash not in words.texts:
            raise NotFound("the message was erased")
        return words.texts[message_hash]

    def remember_answer(self, session_id: str, turn: int, message_hash: str, reply_hash: str) -> None:
        """Cache the hashes of a turn that was just answered, so that the next turn need not look them up."""
        self._remember(turn_stream(session_id, turn), (message_hash, reply_hash))

    def previous_answer(
        self, session_id: str, turn: int, lineage: Sequence[InheritedTurns] = ()
    ) -> PreviousAnswer | None:
        """Return the last answered turn before this one; mostly from the cache, as prompts contain it."""
        place = session_of_turn(session_id, lineage, turn - 1), turn - 1
        if turn > 1 and (known := self._answered.get(turn_stream(*place))):
            return PreviousAnswer(turn - 1, known[1])
        return find_previous_answer(self._ledger, session_id, turn, lineage)

    def _with_inherited(
        self, texts: dict[str, str], hashes: set[str], lineage: Sequence[InheritedTurns]
    ) -> dict[str, str]:
        for origin in reversed(lineage):
            if missing := hashes - texts.keys():
                texts = {**_texts(self._content, root_of(origin.session_id), missing), **texts}
        return texts

    def _answered_turns(self, places: Sequence[tuple[str, int]]) -> list[tuple[str, tuple[str, str]]]:
        """Return the owner and the hashes of message and reply, for those of these turns that are answered."""
        streams = {turn_stream(*place): root_of(place[0]) for place in places}
        known = {stream: pair for stream in streams if (pair := self._answered.get(stream))}
        missing = [stream for stream in streams if stream not in known]
        for stream, events in self._ledger.read_many(missing).items() if missing else ():
            turn = load_turn(events)
            if turn.status == "completed" and turn.reply_hash is not None:
                known[stream] = (turn.message_hash, turn.reply_hash)
                self._remember(stream, known[stream])
        return [(owner, known[stream]) for stream, owner in streams.items() if stream in known]

    def _remember(self, stream: str, pair: tuple[str, str]) -> None:
        if len(self._answered) >= _MOST_KNOWN:
            self._answered.clear()
        self._answered[stream] = pair


def _texts(store: ContentStore, owner: str, hashes: set[str]) -> dict[str, str]:
    return dict(store.get(owner, hashes)) if hashes else {}
