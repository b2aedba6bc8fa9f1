"""Office Open XML: DOCX, PPTX and XLSX, as archives of XML whose unpacked size is bounded before it is parsed."""

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lxml import etree

from adapters.documents.reading import Unreadable
from adapters.documents.tables import row_blocks
from domain.knowledge.chunking import Block
from domain.knowledge.ports import Extracted

MAX_PART = 64 * 2**20
"""Maximum bytes of one unpacked part."""
MAX_UNPACKED = 128 * 2**20
"""Maximum bytes of all unpacked parts together."""
MAX_PARTS = 10_000

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_S = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_HEADING = re.compile(r"(?:heading|berschrift|titre|t[ií]tulo)\s?([1-6])", re.IGNORECASE)
_SLIDE = re.compile(r"ppt/slides/slide([0-9]{1,6})\.xml")
_SHEET = re.compile(r"xl/worksheets/sheet([0-9]{1,6})\.xml")
_COLUMN = re.compile(r"([A-Z]{1,3})[0-9]+")
_MAX_COLUMNS = 1_000
_CHUNK = 2**20


def read_office(kind: str, content: bytes) -> Extracted:
    """Return the text of an Office document."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = _Parts(archive)
            return _READERS[kind](parts)
    except (zipfile.BadZipFile, zlib.error, etree.XMLSyntaxError, NotImplementedError, EOFError, ValueError, KeyError):
        # NotImplementedError: a method of compression that nobody uses here
        raise Unreadable("BROKEN", "the document is broken") from None
    except RuntimeError:  # the archive is encrypted
        raise Unreadable("ENCRYPTED", "the document is encrypted") from None


class _Parts:
    """The parts of an archive. What is unpacked is counted, whatever sizes the archive states."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        if len(archive.infolist()) > MAX_PARTS:
            raise Unreadable("TOO_LARGE", f"the document has more than {MAX_PARTS} parts")
        self._archive = archive
        self._left = MAX_UNPACKED
        self.names = archive.namelist()

    def tree(self, name: str) -> Any:
        """Return a part as XML, without entities and without anything from elsewhere."""
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        return etree.fromstring(self._unpack(name), parser=parser)

    def tree_or_none(self, name: str) -> Any:
        return self.tree(name) if name in self.names else None

    def _unpack(self, name: str) -> bytes:
        unpacked = bytearray()
        limit = min(MAX_PART, self._left)
        with self._archive.open(name) as part:
            while piece := part.read(_CHUNK):
                unpacked += piece
                if len(unpacked) > limit:
                    raise Unreadable("TOO_LARGE", "the document is larger than it may be once it is unpacked")
        self._left -= len(unpacked)
        return bytes(unpacked)


def _read_docx(parts: _Parts) -> Extracted:
    body = parts.tree("word/document.xml")
    styles = _heading_levels(parts.tree_or_none("word/styles.xml"))
    blocks = [_paragraph(each, styles) for each in body.iter(f"{_W}p")]
    title = next((block.text for block in blocks if block.level == 1), "")
    return Extracted([*blocks], title)


def _heading_levels(styles: Any) -> Mapping[str, int]:
    """Return the level of each style that is a heading, by the style's id."""
    levels: dict[str, int] = {}
    for style in styles.iter(f"{_W}style") if styles is not None else ():
        name = style.find(f"{_W}name")
        named = str(name.get(f"{_W}val") if name is not None else "")
        found = _HEADING.search(named)
        if found or named.lower() == "title":
            levels[str(style.get(f"{_W}styleId"))] = int(found[1]) if found else 1
    return levels


def _paragraph(paragraph: Any, styles: Mapping[str, int]) -> Block:
    style = paragraph.find(f"{_W}pPr/{_W}pStyle")
    named = str(style.get(f"{_W}val")) if style is not None else ""
    found = _HEADING.fullmatch(named)
    level = styles.get(named, int(found[1]) if found else 0)
    text = "".join(_docx_text(run) for run in paragraph.iter(f"{_W}t", f"{_W}tab", f"{_W}br"))
    return Block(text, level if text.strip() else 0)


def _docx_text(run: Any) -> str:
    return (run.text or "") if run.tag == f"{_W}t" else " " if run.tag == f"{_W}tab" else "\n"


def _read_pptx(parts: _Parts) -> Extracted:
    slides = sorted((int(found[1]), name) for name in parts.names if (found := _SLIDE.fullmatch(name)))
    blocks: list[Block] = []
    for place, (_, name) in enumerate(slides, 1):
        blocks += _slide(parts.tree(name), place)
    title = next((block.text for block in blocks if block.level == 1), "")
    return Extracted(blocks, title, len(slides))


def _slide(slide: Any, page: int) -> Iterator[Block]:
    heading, texts = "", []
    for shape in slide.iter(f"{_P}sp", f"{_P}graphicFrame"):
        placeholder = shape.find(f".//{_P}ph")
        lines = ["".join(t.text or "" for t in line.iter(f"{_A}t")) for line in shape.iter(f"{_A}p")]
        text = "\n".join(line for line in lines if line.strip())
        if placeholder is not None and placeholder.get("type") in ("title", "ctrTitle"):
            heading = heading or text
        elif text:
            texts.append(text)
    yield Block(heading or f"Slide {page}", 1, page)
    yield from (Block(text, page=page) for text in texts)


def _read_xlsx(parts: _Parts) -> Extracted:
    shared = parts.tree_or_none("xl/sharedStrings.xml")
    strings = [_string(each) for each in shared.iter(f"{_S}si")] if shared is not None else []
    names = _sheet_names(parts)
    blocks: list[Block] = []
    for number, name in sorted((int(found[1]), name) for name in parts.names if (found := _SHEET.fullmatch(name))):
        rows = (_cells(row, strings) for row in parts.tree(name).iter(f"{_S}row"))
        blocks += [Block(names.get(number, f"Sheet {number}"), 1), *row_blocks(rows)]
    return Extracted(blocks)


def _sheet_names(parts: _Parts) -> Mapping[int, str]:
    workbook = parts.tree_or_none("xl/workbook.xml")
    sheets = workbook.iter(f"{_S}sheet") if workbook is not None else ()
    return {number: str(sheet.get("name") or "") for number, sheet in enumerate(sheets, 1)}


def _string(element: Any) -> str:
    return "".join(text.text or "" for text in element.iter(f"{_S}t"))


def _cells(row: Any, strings: list[str]) -> list[str]:
    cells: list[str] = []
    for cell in row.iter(f"{_S}c"):
        place = _column(str(cell.get("r") or ""), len(cells))
        if place >= _MAX_COLUMNS:
            break
        cells += [""] * (place + 1 - len(cells))
        cells[place] = _value(cell, strings)
    return cells


def _column(reference: str, following: int) -> int:
    found = _COLUMN.fullmatch(reference)
    if found is None:
        return following
    number = 0
    for letter in found[1]:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _value(cell: Any, strings: list[str]) -> str:
    if cell.get("t") == "inlineStr":
        return _string(cell)
    value = cell.findtext(f"{_S}v") or ""
    if cell.get("t") != "s":
        return value
    place = int(value) if value.isdecimal() else -1
    return strings[place] if 0 <= place < len(strings) else ""


_READERS: Mapping[str, Callable[[_Parts], Extracted]] = {
    "docx": _read_docx,
    "pptx": _read_pptx,
    "xlsx": _read_xlsx,
}
