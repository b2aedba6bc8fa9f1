"""Plain text and Markdown."""

import re
from collections.abc import Iterator

from adapters.documents.reading import decode
from domain.knowledge.chunking import Block
from domain.knowledge.ports import Extracted

_PARAGRAPHS = re.compile(r"\n[^\S\n]*\n+")
_HEADING = re.compile(r" {0,3}(#{1,6})\s+(.*?)(?:\s+#+)?\s*")
_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)\s*")
_MAX_TITLE_LINE = 200


def read_text(content: bytes) -> Extracted:
    """Return the paragraphs of a text."""
    text = decode(content).replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n")
    return Extracted([Block(part) for part in _PARAGRAPHS.split(text)])


def read_markdown(content: bytes) -> Extracted:
    """Return the headings and paragraphs of Markdown, marked up as they are."""
    text = decode(content).replace("\r\n", "\n").replace("\r", "\n")
    blocks = list(_markdown_blocks(text.split("\n")))
    first = next((block.text for block in blocks if block.level == 1), "")
    return Extracted(blocks, first)


def _markdown_blocks(lines: list[str]) -> Iterator[Block]:
    held: list[str] = []
    fence = ""
    for line in lines:
        mark = _FENCE.match(line)
        if fence:
            held.append(line)
            fence = "" if mark and mark[1].startswith(fence) else fence
            continue
        heading = _HEADING.fullmatch(line)
        underline = _UNDERLINE.fullmatch(line) if len(held) == 1 and 0 < len(held[0]) <= _MAX_TITLE_LINE else None
        if mark:
            fence = mark[1]
            held.append(line)
        elif heading:
            yield Block("\n".join(held))
            held = []
            yield Block(heading[2], len(heading[1]))
        elif underline:
            yield Block(held[0], 1 if underline[1].startswith("=") else 2)
            held = []
        elif line.strip():
            held.append(line)
        else:
            yield Block("\n".join(held))
            held = []
    yield Block("\n".join(held))
