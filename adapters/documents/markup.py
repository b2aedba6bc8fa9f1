"""HTML: headings and texts as they stand, without what a browser would run, and without what surrounds the text."""

from collections.abc import Iterator
from typing import Any

from lxml import etree, html

from adapters.documents.reading import decode
from domain.knowledge.chunking import Block
from domain.knowledge.ports import Extracted

_SILENT = (
    *("script", "style", "template", "noscript", "svg", "math", "iframe", "object", "select", "form", "button"),
    *("nav", "footer", "aside", "head"),
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset(
    (
        *("address", "article", "blockquote", "body", "br", "caption", "center", "dd", "details", "div", "dl", "dt"),
        *("fieldset", "figcaption", "figure", "header", "hr", "li", "main", "ol", "p", "pre", "section", "summary"),
        *("table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul"),
    )
)
_MAX_HEADING = 500


def read_html(content: bytes | str) -> Extracted:
    """Return the headings and paragraphs of a page."""
    text = content if isinstance(content, str) else decode(content, _charset(content))
    parser = html.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True)
    try:
        tree = html.document_fromstring(text.replace("\x00", " ").encode(errors="replace"), parser=parser)
    except etree.ParserError:  # there is nothing in it
        return Extracted([])
    title = " ".join((tree.findtext(".//title") or "").split())
    etree.strip_elements(tree, *_SILENT, with_tail=False)
    return Extracted(list(_blocks(tree)), title)


def _charset(content: bytes) -> str | None:
    head = content[:2048].lower()
    place = head.find(b"charset=")
    name = head[place + 8 : place + 48].strip(b"\"' ") if place >= 0 else b""
    end = next((at for at, byte in enumerate(name) if not (chr(byte).isalnum() or byte in b"-_")), len(name))
    return name[:end].decode("ascii", errors="ignore") or None


def _blocks(tree: Any) -> Iterator[Block]:
    """Yield the texts between the borders of block elements. It walks without recursion: pages can be deep."""
    held: list[str] = []
    level = 0
    for event, element in etree.iterwalk(tree, events=("start", "end")):
        tag = element.tag if isinstance(element.tag, str) else ""
        is_border = tag in _BLOCKS or tag in _HEADINGS
        if is_border:
            yield from _block(held, level)
            held = []
            level = _HEADINGS.get(tag, 0) if event == "start" else 0
        text = element.text if event == "start" else element.tail
        if text:
            held.append(text)
    yield from _block(held, level)


def _block(held: list[str], level: int) -> Iterator[Block]:
    text = " ".join("".join(held).split())
    if text:
        yield Block(text[:_MAX_HEADING] if level else text, level)
