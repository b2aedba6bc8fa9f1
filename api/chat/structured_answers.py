"""Asks an agent, in a session of its own, for an answer that a program reads: one in a given shape."""

import asyncio
from dataclasses import dataclass
from functools import partial

from api.chat.accepted_work import make_retry_error
from api.chat.errors import failure_of_turn
from api.chat.service import ChatOutcome, ChatService, Utterance
from domain.chat.ports import ChatReads
from domain.chat.views import TurnRow
from domain.content import Content, ContentStore
from domain.errors import Conflict
from domain.ids import derived_id, message_id, random_id
from domain.message_parts import MessagePart
from domain.tenant_ids import qualified
from workflows.chat.messages import ChatResult

_APPROVAL_PAUSE_S = 30
"""Seconds after which a request is to be repeated whose answer awaits approval."""


@dataclass(frozen=True, slots=True)
class Requester:
    """The caller and its tenant. `key` is the scoped idempotency key, if there is one."""

    key_id: str
    tenant_id: str
    request_id: str
    key: str | None = None
    user_id: str | None = None
    project_id: str | None = None


@dataclass(frozen=True, slots=True)
class AnswerLabels:
    """The words for an answer in refusals: `subject` names it, `pending` says that it is not there yet.

    `kind` parts its sessions from those of other kinds that are derived from the same idempotency key, and `pause_s` is
    the time after which a request is to be repeated.
    """

    kind: str
    subject: str
    pending: str
    pause_s: int


@dataclass(frozen=True, slots=True)
class StructuredQuestion:
    """A question for an agent: `parts` compose its prompt, of `texts`, which are stored first, and of `message`.

    The answer follows `shape`, with the `options` to choose from.
    """

    agent_id: str
    message: str
    shape: str
    options: tuple[str, ...]
    parts: tuple[MessagePart, ...]
    texts: tuple[Content, ...]


@dataclass(frozen=True, slots=True)
class StructuredAnswer:
    """The end of the turn: `completed`, or `failed` because the model gave no usable answer."""

    outcome: ChatOutcome
    said: ChatResult


def is_unusable(code: str | None) -> bool:
    """Return whether a turn failed because of its answers: none was usable, or no further attempt fits the window."""
    return code in {"PAYLOAD_TOO_LARGE", "UNUSABLE_REPLY"}


class StructuredAnswers:
    """Asks for answers of one kind, and waits `timeout_s` seconds at most for each."""

    def __init__(
        self,
        conversations: ChatService,
        chats: ChatReads,
        content: ContentStore,
        labels: AnswerLabels,
        *,
        timeout_s: float,
    ) -> None:
        self._conversations = conversations
        self._chats = chats
        self._content = content
        self._labels = labels
        self._timeout_s = timeout_s

    def session_of(self, asker: Requester) -> str:
        """Return the session for a question: the same for the same idempotency key."""
        name = f"session_{derived_id(self._labels.kind, asker.key)}" if asker.key else random_id("session")
        return qualified(asker.tenant_id, name)

    def find_turn(self, session_id: str, asker: Requester) -> TurnRow | None:
        """Return the turn of an earlier request with this idempotency key, up to the view's position."""
        return self._chats.turn_of(session_id, message_id(session_id, asker.key)) if asker.key else None

    async def ask(self, question: StructuredQuestion, session_id: str, asker: Requester) -> StructuredAnswer:
        """Ask the question, and return the end of its turn. Idempotent by the key.

        Raises:
            UpstreamFailed, TooLarge, OverBudget: the turn failed for another reason than its answers.
            Conflict: a person has rejected the answer.
            StillWorking: it takes too long or awaits approval; the same key continues it.
            Unavailable: the same without a key; it was cancelled.
        """
        await asyncio.to_thread(self._store, question.texts)
        outcome = await self._conversations.send(
            Utterance(
                agent_id=question.agent_id,
                message=question.message,
                key_id=asker.key_id,
                tenant_id=asker.tenant_id,
                request_id=asker.request_id,
                key=asker.key,
                session_id=session_id,
                user_id=asker.user_id,
                project_id=asker.project_id,
                shape=question.shape,
                options=question.options,
                tools=(),
                parts=question.parts,
            ),
            timeout_s=self._timeout_s,
        )
        return StructuredAnswer(outcome, await self._refuse_unfinished(outcome, asker))

    async def read_text(self, session_id: str, reply_hash: str) -> str:
        """Return the text of an answer.

        Raises:
            Conflict: it was erased.
        """
        texts = await asyncio.to_thread(self._content.get, session_id, [reply_hash])
        if reply_hash not in texts:
            raise Conflict(f"the text of {self._labels.subject} was erased")
        return texts[reply_hash]

    def _store(self, texts: tuple[Content, ...]) -> None:
        for text in texts:
            self._content.put(text)

    async def _refuse_unfinished(self, outcome: ChatOutcome, asker: Requester) -> ChatResult:
        said, labels = outcome.said, self._labels
        again = partial(make_retry_error, self._conversations, outcome, key=asker.key)
        if said is None:
            raise await again(message=labels.pending, retry_after=labels.pause_s)
        match said.status:
            case "awaiting_approval":
                raise await again(message=f"{labels.subject} awaits approval", retry_after=_APPROVAL_PAUSE_S)
            case "rejected":
                raise Conflict(f"a person has rejected {labels.subject}", approval_id=said.approval_id)
            case "failed" if not is_unusable(said.code):
                raise failure_of_turn(outcome, said)
        return said
