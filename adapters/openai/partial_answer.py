"""An answer of an OpenAI-compatible API while it arrives: the sum of its chunks."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from adapters.openai.bounds import MAX_ANSWER_BYTES, name_from, parse
from adapters.openai.choices import Finish, choice_of, meaning_of, reason_of, unwrap
from adapters.openai.error_body import error_in, fields_of
from adapters.openai.errors import broken_off_as, cut, in_stream, unreadable
from adapters.openai.events import DONE
from adapters.openai.failure_kind import Extras
from adapters.openai.message import AssembledText, MessageFields
from adapters.openai.tools import Requests
from adapters.openai.usage import estimated_tokens, of_total, prompt_bytes, usage_of
from domain.chat.model_port import ModelFailure, ModelReply, ModelRequest, Usage

JSON_STARTS = (b"{", b"[")


class PartialAnswer:
    """An answer while it arrives, piece by piece; `finish` is the provider's own reason, as soon as it gives one.

    `is_late` once text came behind a reason: then the reason may stand in every chunk, and is no sign of the end.
    """

    def __init__(self, on_delta: Callable[[str], None], extras: Extras) -> None:
        self.extras = extras
        self._on_delta = on_delta
        self._text = AssembledText()
        self._refusal = AssembledText()
        self._fields = MessageFields()
        self._requests = Requests()
        self._counted: Usage | None = None
        self._is_odd = False
        self.finish: str | None = None
        self.is_late = False
        self.is_too_long = False
        self.done = False
        self.id: str | None = None
        self.model: str | None = None
        self.error: Mapping[str, Any] = {}
        """The error object that came instead of an answer, or within it."""

    def take(self, data: bytes) -> None:
        """Add one event.

        Raises:
            ModelFailure: it is an error object (`in_stream`), or cannot be read.
        """
        if data.upper() == DONE:
            self.done = True
            return
        if not data.startswith((*JSON_STARTS, b'"')):  # a word that keeps the connection open
            self._is_odd |= not data.startswith(b":")
            return
        try:
            chunk = parse(data)
        except ValueError as fault:
            raise unreadable(f"a chunk is not JSON ({type(fault).__name__})") from fault
        self.take_json(chunk)

    def take_json(self, chunk: Any) -> None:
        """Add a chunk, several of them in a list, or a whole completion."""
        if isinstance(chunk, str):
            self.done |= chunk.upper() == DONE.decode()
            return
        for each in chunk if isinstance(chunk, list) else [chunk]:
            if isinstance(each, dict):
                one = unwrap(each)
                if (error := error_in(one)) is not None:
                    raise self._record_error(error)
                self._add(one)
            else:
                self._is_odd = True

    def take_all(self, events: Iterable[bytes]) -> None:
        for data in events:
            self.take(data)

    def _add(self, chunk: Mapping[str, Any]) -> None:
        """Add a chunk and hand on its piece of text. Only one choice is ever asked for."""
        self.id = self.id or name_from(chunk.get("id"))
        self.model = self.model or name_from(chunk.get("model"))
        choice = choice_of(chunk)
        self._counted = usage_of(chunk, choice or {}) or self._counted
        if choice is None or choice.get("index") not in (None, 0, "0"):
            return
        if error := choice.get("error"):
            raise self._record_error(fields_of(error))
        said = self._message_piece(choice)
        if self._add_message(said):
            self.is_late |= self.finish is not None
        self.finish = reason_of(choice) or self.finish

    def _record_error(self, error: dict[str, Any]) -> ModelFailure:
        self.error = error
        return in_stream(error, self.extras)

    def _message_piece(self, choice: Mapping[str, Any]) -> Mapping[str, Any]:
        """The message's piece. Some send the whole message again with the last chunk, or with every one."""
        delta, message = choice.get("delta"), choice.get("message")
        if isinstance(delta, str):
            return {"content": delta}
        if isinstance(delta, dict) and (delta or self._size or not isinstance(message, dict)):
            return delta
        return message if isinstance(message, dict) and not self._size else {"content": choice.get("text")}

    def _add_message(self, said: Mapping[str, Any]) -> bool:
        """Return true if there was anything of an answer in it."""
        before = self._size
        pieces = self._fields.take(said)
        refusal = said.get("refusal")
        self._refusal.add(refusal if isinstance(refusal, str) else "")
        if requests := said.get("tool_calls") or _legacy_call(said):  # some tell the one request in both protocols
            self._requests.add(requests)
        if heard := self._text.add(pieces.text):
            self._on_delta(heard)
        self._is_odd |= pieces.is_odd or self._requests.is_odd
        self.is_too_long |= self._size > MAX_ANSWER_BYTES
        return self._size > before

    @property
    def _size(self) -> int:
        return self._text.bytes + self._refusal.bytes + self._requests.bytes

    @property
    def is_ending(self) -> bool:
        """True once all that was asked for seems to have come; usage may follow."""
        return self.done or self.finish is not None

    @property
    def is_usable(self) -> bool:
        """True if there is an answer whatever becomes of the connection."""
        return self.done or self.is_too_long or (self.finish is not None and not self.is_late)

    @property
    def is_billable(self) -> bool:
        """True if anything came that a provider bills for."""
        return bool(self._size or self._fields.unseen_bytes or self._requests or self._counted)

    def end(self) -> None:
        """Take the end of the body for the answer's.

        Raises:
            ModelFailure: there is none.
        """
        if not self.is_ending and not self.is_too_long:
            is_cut = self.id is not None and not self._is_odd
            raise cut() if is_cut or (self.is_billable and not self._is_odd) else unreadable("it holds no whole answer")

    def usage(self, request: ModelRequest, *, whole: bool) -> Usage:
        """The provider's numbers where it sent any, else what arrived by `estimated_tokens`, and marked so.

        Numbers that came with a stream that is not `whole` are not its last word, so they are marked as well.
        """
        if self._counted is not None:
            counted = of_total(self._counted, request)
            return counted if whole else replace(counted, estimated=True)
        arrived = self._fields.unseen_bytes + self._size
        return Usage(estimated_tokens(prompt_bytes(request)), estimated_tokens(arrived), estimated=True)

    def reply(self, request: ModelRequest, call_id: str | None) -> ModelReply:
        """The answer as it stands.

        Raises:
            ModelFailure: its provider says that it did not end well, or broken requests are all there is to say so.
        """
        if self.finish is None and self._requests.is_odd and not self.is_too_long:
            raise unreadable("its requests are not of the protocol")
        requests = tuple(self._requests.all())
        meant = "length" if self.is_too_long else meaning_of(self.finish)
        if meant == "failed":
            raise broken_off_as(self.finish or "")
        text = self._text.whole(most=MAX_ANSWER_BYTES)
        refusal = self._refusal.whole(most=MAX_ANSWER_BYTES)
        return ModelReply(
            text=text or refusal,
            finish=_finish(meant, has_requests=bool(requests), is_refusal=bool(refusal and not text)),
            usage=self.usage(request, whole=not self.is_too_long),
            provider_call_id=self.id or call_id,
            model=self.model,
            tool_calls=requests,
            extra=self._fields.extra() if requests else {},
        )


def _legacy_call(said: Mapping[str, Any]) -> list[Any]:
    """The one request of the protocol before there were several."""
    call = said.get("function_call")
    return [{"index": 0, "function": call}] if isinstance(call, dict) else []


def _finish(meant: Finish, *, has_requests: bool, is_refusal: bool) -> Any:
    if has_requests:
        return "tool_calls"
    if is_refusal:
        return "content_filter"
    return "other" if meant in ("tool_calls", "failed") else meant
