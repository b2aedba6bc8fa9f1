"""Numbers the frames of a stream, from the ledger and from the live frames of the open model call.

The number of a frame is never stored. It follows from the order of the ledger, in which each entry has a fixed place,
and from the counts of live frames of the calls before it, each of which is written once (record 0063).
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from api.live.timelines import ReadEvents, Timeline
from domain.content import ContentStore
from domain.errors import Unavailable
from domain.live.frames import MOST_LIVE, Frame, FrameDraft, LedgerEntry, LiveBatch, SealedCall
from domain.live.ports import CallCounts, LiveReads

_TRIES = 3
_PAUSE_S = 0.2


@dataclass(frozen=True, slots=True)
class FrameStores:
    """Where the frames of all streams come from. Without `live` there are no live frames."""

    content: ContentStore
    counts: CallCounts
    live: LiveReads | None


@dataclass(slots=True)
class _OpenCall:
    """The model call that answers now, and the index of its live frame that was passed last.

    `is_dark`: its live frames cannot be shown, because others have been shown in their place.
    """

    call_id: str
    passed: int = 0
    generation: str | None = None
    is_dark: bool = False


@dataclass(frozen=True, slots=True)
class _Draft:
    seq: int
    draft: FrameDraft


class StreamCursor:
    """Reads one stream forwards. `seq` is the number of the last frame that was passed.

    Only frames behind `after` are returned; those before it are counted. `turn_base` is the number before the first
    frame of the latest piece of work, such as a turn.
    """

    def __init__(
        self, stream: str, timeline: Timeline, read: ReadEvents, stores: FrameStores, *, after: int = 0
    ) -> None:
        self.timeline = timeline
        self.seq = 0
        self.after = after
        self.turn_base = 0
        self.deltas_are_away = stores.live is None
        self._stream = stream
        self._read = read
        self._stores = stores
        self._position = 0
        self._base = 0
        self._open: _OpenCall | None = None
        self._counts: dict[str, int] = {}
        self._is_first = True

    async def advance(self) -> list[Frame]:
        """Return all frames that there are now.

        Raises:
            domain.errors.Unavailable: the ledger cannot be reached.
        """
        if self._is_first:
            await self._load_counts()
        batch = await asyncio.to_thread(self._read, self._stream, self._position, tuple(self.timeline.open_tools))
        entries = [self.timeline.add(recorded.event) for recorded in batch.events]
        await self._close_calls(entries)
        frames: list[Frame | _Draft] = []
        for entry in entries:
            frames += await self._place(entry)
        self._position, self._is_first = batch.head, False
        return [*await self._finish(frames), *await self._catch_up()]

    async def receive(self, batch: LiveBatch) -> list[Frame]:
        """Return the frames of a batch that has come; none if the ledger has not come to its call."""
        call = self._open
        if call is None or call.call_id != batch.call_id or call.is_dark:
            return []
        if batch.first > call.passed + 1:
            return await self._catch_up()
        return await self._pass_live(call, batch)

    @property
    def awaits(self) -> str | None:
        """The call whose live frames are shown now."""
        return self._open.call_id if self._open else None

    async def _load_counts(self) -> None:
        known = await asyncio.to_thread(self._stores.counts.of_stream, self._stream)
        self._counts = {call: counted.frames for call, counted in known.items() if counted.frames is not None}

    async def _close_calls(self, entries: Iterable[LedgerEntry]) -> None:
        """Find out how many live frames the calls have that these entries close."""
        closed = [entry.closes for entry in entries if entry.closes and entry.closes not in self._counts]
        if not closed:
            return
        sealed = await self._seal(closed)
        self._counts.update(await asyncio.to_thread(self._stores.counts.close, self._stream, sealed))

    async def _seal(self, calls: list[str]) -> list[SealedCall]:
        """Seal the lists of calls, with some patience: without them numbers jump."""
        live, tries = self._stores.live, _TRIES
        while live is not None and tries > 0:
            try:
                return await live.seal(self._stream, calls)
            except Unavailable:
                self.deltas_are_away = True
                tries -= 1
                await asyncio.sleep(_PAUSE_S)
        return [SealedCall(call) for call in calls]

    async def _place(self, entry: LedgerEntry) -> list[Frame | _Draft]:
        """Number what an entry adds: the rest of its call's live frames, then its own."""
        placed: list[Frame | _Draft] = []
        if entry.closes is not None:
            placed += await self._rest_of_call(entry.closes)
            self._base += self._counts.get(entry.closes, 0)
            self.seq, self._open = self._base, None
        if any(frame.type == "session" for frame in entry.frames):
            self.turn_base = self._base
        for draft in entry.frames:
            self._base += 1
            self.seq = self._base
            if self.seq > self.after:
                placed.append(_Draft(self.seq, draft))
        if entry.opens is not None:
            self._open = _OpenCall(entry.opens)
        return placed

    async def _rest_of_call(self, call_id: str) -> list[Frame]:
        """Return the live frames of a closed call that were not passed, as far as they are still kept."""
        count = self._counts.get(call_id, 0)
        passed = self._open.passed if self._open is not None and self._open.call_id == call_id else 0
        is_wanted = self._base + count > self.after and passed < count <= MOST_LIVE
        if self._stores.live is None or not is_wanted or self.timeline.hides_texts:
            return []
        try:
            batch = await self._stores.live.read(self._stream, call_id, passed)
        except Unavailable:
            return []
        generation = self._open.generation if self._open is not None and self._open.call_id == call_id else None
        if batch is None or generation not in (None, batch.generation) or batch.first + len(batch.frames) - 1 != count:
            return []  # what is kept is not what was counted
        return self._to_frames(batch, behind=passed)

    async def _catch_up(self) -> list[Frame]:
        """Return the live frames of the open call that were not passed yet."""
        call = self._open
        if call is None or call.is_dark or self._stores.live is None or self.timeline.hides_texts:
            return []
        try:
            batch = await self._stores.live.read(self._stream, call.call_id, call.passed)
        except Unavailable:
            self.deltas_are_away = True
            return []
        self.deltas_are_away = False
        return await self._pass_live(call, batch) if batch is not None else []

    async def _pass_live(self, call: _OpenCall, batch: LiveBatch) -> list[Frame]:
        """Number live frames. Before the first one is shown it is recorded that this generation is."""
        if call.generation is None:
            counted = await asyncio.to_thread(self._stores.counts.open, self._stream, call.call_id, batch.generation)
            call.generation = counted.generation
            call.is_dark = counted.frames is not None
        if call.is_dark or call.generation != batch.generation or batch.first > call.passed + 1:
            call.is_dark = True
            return []
        frames = self._to_frames(batch, behind=call.passed)
        call.passed = max(call.passed, batch.first + len(batch.frames) - 1)
        self.seq = self._base + call.passed
        return frames

    def _to_frames(self, batch: LiveBatch, *, behind: int) -> list[Frame]:
        return [
            Frame(self._base + index, live.type, live.data, live.at)
            for index, live in enumerate(batch.frames, batch.first)
            if index > behind and self._base + index > self.after
        ]

    async def _finish(self, placed: list[Frame | _Draft]) -> list[Frame]:
        """Add the texts to the frames that show some."""
        wanted = {text.hash for each in placed if isinstance(each, _Draft) for text in each.draft.texts}
        texts: Mapping[str, str] = {}
        if wanted:
            texts = await asyncio.to_thread(self._stores.content.get, self.timeline.owner, sorted(wanted))
        return [_with_texts(each, texts) if isinstance(each, _Draft) else each for each in placed]


@dataclass(frozen=True, slots=True)
class CursorFactory:
    """Makes the cursors of one kind of streams."""

    timeline: Callable[[str], Timeline]
    read: ReadEvents
    stores: FrameStores

    def cursor(self, stream: str, *, after: int = 0) -> StreamCursor:
        return StreamCursor(stream, self.timeline(stream), self.read, self.stores, after=after)


def _with_texts(placed: _Draft, texts: Mapping[str, str]) -> Frame:
    draft = placed.draft
    data = {**draft.data, **{text.name: _value(texts.get(text.hash), text.is_json) for text in draft.texts}}
    if any(text.hash not in texts for text in draft.texts):
        data["erased"] = True
    return Frame(placed.seq, draft.type, data, to_timestamp(draft.at))


def _value(text: str | None, is_json: bool) -> Any:  # noqa: FBT001  (a field of the draft)
    if text is None or not is_json:
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def to_timestamp(moment: datetime) -> str:
    """Return a moment as RFC 3339 in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
