"""Texts that are kept for a moment are those of the store, never longer than the moment, and never too many."""

from collections.abc import Iterable, Mapping

import pytest

from adapters.memory import recent_content
from adapters.memory.recent_content import RecentContent
from domain.content import Content

TTL_S = 10.0


class Store:
    """`domain.content.ContentStore` in memory, which knows how often it was asked."""

    def __init__(self) -> None:
        self.texts: dict[tuple[str, str], str] = {}
        self.asked: list[list[str]] = []

    def put(self, content: Content) -> str:
        self.texts[content.owner, content.hash] = content.text
        return content.hash

    def get(self, owner: str, hashes: Iterable[str]) -> Mapping[str, str]:
        wanted = list(hashes)
        self.asked.append(wanted)
        return {each: self.texts[owner, each] for each in wanted if (owner, each) in self.texts}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def recent(store: Store, clock: Clock) -> RecentContent:
    return RecentContent(store, TTL_S, clock)


def test_a_text_that_was_stored_or_read_is_not_read_again(recent: RecentContent, store: Store) -> None:
    put = recent.put(Content("run", "put"))
    noted = Content("run", "noted")
    store.put(noted)
    recent.cache([noted])
    other = store.put(Content("run", "other"))
    texts = {put: "put", noted.hash: "noted", other: "other"}
    assert recent.get("run", texts) == texts
    assert recent.get("run", texts) == texts
    assert store.asked == [[other]]


def test_a_text_is_its_owners_alone(recent: RecentContent) -> None:
    text = recent.put(Content("one", "words"))
    assert recent.get("two", [text]) == {}


def test_what_was_erased_is_gone_after_a_moment(recent: RecentContent, store: Store, clock: Clock) -> None:
    text = recent.put(Content("run", "words"))
    store.texts.clear()
    clock.now = TTL_S - 0.1
    assert recent.get("run", [text]) == {text: "words"}
    clock.now = TTL_S
    assert recent.get("run", [text]) == {}


def test_reading_a_text_does_not_keep_it_longer(recent: RecentContent, store: Store, clock: Clock) -> None:
    text = recent.put(Content("run", "words"))
    store.texts.clear()
    for _ in range(20):
        clock.now += TTL_S / 20
        recent.get("run", [text])
    assert recent.get("run", [text]) == {}


def test_what_is_not_there_yet_is_found_once_it_is(recent: RecentContent, store: Store) -> None:
    content = Content("run", "words")
    assert recent.get("run", [content.hash]) == {}
    store.put(content)
    assert recent.get("run", [content.hash]) == {content.hash: "words"}


def test_long_texts_and_too_many_are_read_where_they_are(
    recent: RecentContent, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent_content, "MAX_TEXT", 10)
    monkeypatch.setattr(recent_content, "MAX_CHARACTERS", 25)
    long = recent.put(Content("run", "x" * 11))
    hashes = [recent.put(Content("run", letter * 10)) for letter in "abc"]
    assert recent.get("run", [long, *hashes]) == {
        long: "x" * 11,
        **{each: letter * 10 for each, letter in zip(hashes, "abc", strict=True)},
    }
    assert store.asked == [[long, hashes[0]]]
