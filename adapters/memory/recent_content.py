"""Texts that were stored or read a moment ago, so that the steps of a run need not each read them again."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Lock

from domain.content import Content, ContentStore

FOR_S = 10.0
"""Seconds that a text is kept; for so long an erased one may still be read where it was."""
MOST = 8_000_000
"""Characters that are kept in all."""
LONGEST = 200_000
"""Characters of a text that is kept."""


class RecentContent:
    """`domain.content.ContentStore` in front of another one. Threads share it."""

    def __init__(self, store: ContentStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], tuple[str, float]] = OrderedDict()
        self._characters = 0
        self._lock = Lock()

    def put(self, content: Content) -> str:
        stored = self._store.put(content)
        self.note([content])
        return stored

    def get(self, owner: str, hashes: Iterable[str]) -> Mapping[str, str]:
        wanted = list(hashes)
        with self._lock:
            self._forget_old()
            found = {each: kept[0] for each in wanted if (kept := self._kept.get((owner, each)))}
        missing = [each for each in wanted if each not in found]
        if not missing:
            return found
        read = self._store.get(owner, missing)
        self._keep([(owner, each, text) for each, text in read.items()])
        return {**found, **read}

    def note(self, contents: Sequence[Content]) -> None:
        """These were stored by another way."""
        self._keep([(content.owner, content.hash, content.text) for content in contents])

    def _keep(self, texts: Sequence[tuple[str, str, str]]) -> None:
        until = self._clock() + FOR_S
        with self._lock:
            for owner, text_hash, text in texts:
                if len(text) <= LONGEST and (owner, text_hash) not in self._kept:
                    self._kept[owner, text_hash] = text, until
                    self._characters += len(text)
            self._forget_old()

    def _forget_old(self) -> None:
        """The oldest come first, since each is kept for as long."""
        now = self._clock()
        while self._kept:
            key, (text, until) = next(iter(self._kept.items()))
            if until > now and self._characters <= MOST:
                return
            del self._kept[key]
            self._characters -= len(text)
