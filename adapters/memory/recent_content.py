"""A cache of texts that were recently stored or read, so that the steps of a run do not each read them again."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Lock

from domain.content import Content, ContentStore

MAX_CHARACTERS = 8_000_000
"""Maximum characters of all cached texts."""
MAX_TEXT = 200_000
"""Maximum characters of a cached text."""


class RecentContent:
    """A cache in front of another `domain.content.ContentStore`. Thread-safe.

    A text is cached for `ttl_s` seconds; an erased one may be read here for as long.
    """

    def __init__(self, store: ContentStore, ttl_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._ttl_s = ttl_s
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], tuple[str, float]] = OrderedDict()
        self._characters = 0
        self._lock = Lock()

    def put(self, content: Content) -> str:
        stored = self._store.put(content)
        self.cache([content])
        return stored

    def get(self, owner: str, hashes: Iterable[str]) -> Mapping[str, str]:
        wanted = list(hashes)
        with self._lock:
            self._evict()
            found = {each: kept[0] for each in wanted if (kept := self._kept.get((owner, each)))}
        missing = [each for each in wanted if each not in found]
        if not missing:
            return found
        read = self._store.get(owner, missing)
        self._add([(owner, each, text) for each, text in read.items()])
        return {**found, **read}

    def cache(self, contents: Sequence[Content]) -> None:
        """Cache texts that were stored without this store."""
        self._add([(content.owner, content.hash, content.text) for content in contents])

    def _add(self, texts: Sequence[tuple[str, str, str]]) -> None:
        until = self._clock() + self._ttl_s
        with self._lock:
            for owner, text_hash, text in texts:
                if len(text) <= MAX_TEXT and (owner, text_hash) not in self._kept:
                    self._kept[owner, text_hash] = text, until
                    self._characters += len(text)
            self._evict()

    def _evict(self) -> None:
        """Evict expired texts, and the oldest ones while the cache is too large."""
        now = self._clock()
        while self._kept:
            key, (text, until) = next(iter(self._kept.items()))
            if until > now and self._characters <= MAX_CHARACTERS:
                return
            del self._kept[key]
            self._characters -= len(text)
