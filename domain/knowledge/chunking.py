"""Splits documents into chunks along their structure: headings, paragraphs, sentences, words."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

MAX_CHUNK = 1_000
"""Characters of a chunk, without its headings: some 250 tokens of English text."""
OVERLAP = 150
"""Characters, at most, that a chunk repeats of the one before it under the same headings."""
MAX_HEADING = 300

_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+|\n+")  # noqa: RUF001  (the full stops of other scripts)
_WORD = re.compile(r"\w+")
_SPACES = re.compile(r"[^\S\n]+")
_SEPARATOR = " > "


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a document: a heading of a level from 1, or text of level 0. Pages count from 1."""

    text: str
    level: int = 0
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk by its number in the document, from 0; `heading` is the path of its headings."""

    number: int
    text: str
    heading: str
    page: int | None

    @property
    def words(self) -> int:
        return count_words(self.text)


@dataclass(slots=True)
class _Section:
    """The text under one path of headings."""

    heading: str
    pieces: list[tuple[str, int | None]] = field(default_factory=list)


def split(blocks: Iterable[Block]) -> Iterator[Chunk]:
    """Yield the chunks of a document. No chunk spans two headings, and none is longer than `MAX_CHUNK`."""
    number = 0
    for section in _sections(blocks):
        for text, page in _pack(section.pieces):
            yield Chunk(number, text, section.heading, page)
            number += 1


def count_words(text: str) -> int:
    """Return the number of words."""
    return sum(1 for _ in _WORD.finditer(text))


def embedded_text(title: str, heading: str, text: str) -> str:
    """Return the text that a chunk is embedded and indexed as: with its title and headings, which give it a context."""
    return "\n".join(part for part in (title, heading, text) if part)


def _sections(blocks: Iterable[Block]) -> Iterator[_Section]:
    path: list[tuple[int, str]] = []
    section = _Section("")
    for block in blocks:
        text = _SPACES.sub(" ", block.text).strip()
        if not text:
            continue
        if block.level:
            if section.pieces:
                yield section
            path = [*(each for each in path if each[0] < block.level), (block.level, " ".join(text.split()))]
            section = _Section(_SEPARATOR.join(heading for _, heading in path)[-MAX_HEADING:])
        else:
            section.pieces.append((text, block.page))
    if section.pieces:
        yield section


def _pack(pieces: Sequence[tuple[str, int | None]]) -> Iterator[tuple[str, int | None]]:
    """Yield texts of at most `MAX_CHUNK` characters, each with the page on which it begins."""
    held: list[str] = []
    length, page, is_overlap = 0, None, False
    for text, at in _units(pieces):
        if held and length + len(text) + 1 > MAX_CHUNK:
            if not is_overlap:
                yield "\n".join(held), page
            held = _tail(held, MAX_CHUNK - len(text) - 1)
            length, page, is_overlap = sum(len(each) + 1 for each in held), at, True
        if not held:
            page = at
        held.append(text)
        length, is_overlap = length + len(text) + 1, False
    if held and not is_overlap:
        yield "\n".join(held), page


def _tail(held: Sequence[str], room: int) -> list[str]:
    """Return the last sentences that fit both the overlap and the room that the next text leaves."""
    kept: list[str] = []
    left = min(OVERLAP, room)
    for text in reversed(held):
        for sentence in reversed([each for each in _SENTENCE.split(text) if each]):
            if len(sentence) + 1 > left:
                return kept
            kept.insert(0, sentence)
            left -= len(sentence) + 1
    return kept


def _units(pieces: Iterable[tuple[str, int | None]]) -> Iterator[tuple[str, int | None]]:
    """Yield paragraphs; long ones by their sentences, and long sentences by their words."""
    for text, page in pieces:
        if len(text) <= MAX_CHUNK:
            yield text, page
            continue
        for sentence in _SENTENCE.split(text):
            yield from ((part, page) for part in _cut(sentence.strip()))


def _cut(text: str) -> Iterator[str]:
    while len(text) > MAX_CHUNK:
        end = text.rfind(" ", MAX_CHUNK // 2, MAX_CHUNK)
        end = MAX_CHUNK if end < 0 else end
        yield text[:end]
        text = text[end:].lstrip()
    if text:
        yield text
