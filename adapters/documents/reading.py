"""Reads a document of any kind. It runs in a process that can be given up; its parsers are imported by kind."""

from collections.abc import Iterable

from domain.knowledge.chunking import Block
from domain.knowledge.events import Kind
from domain.knowledge.policy import MAX_PAGES, MAX_TEXT
from domain.knowledge.ports import Extracted


class Unreadable(Exception):  # noqa: N818  (an answer about the document)
    """The document cannot be read, or not within the limits. The message quotes nothing of it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


def read_document(kind: Kind, content: bytes) -> Extracted:
    """Return the text of a document, without characters that cannot be stored.

    Raises:
        Unreadable: it is empty, broken, encrypted or too large.
    """
    if not content.strip():
        raise Unreadable("EMPTY", "the document is empty")
    found = _read(kind, content)
    if found.pages is not None and found.pages > MAX_PAGES:
        raise Unreadable("TOO_LARGE", f"the document has more than {MAX_PAGES} pages")
    blocks = list(bound_blocks(found.blocks))
    if not any(block.text.strip() for block in blocks):
        raise Unreadable("NO_TEXT", "the document has no text; scanned pages are pictures, which are not read")
    return Extracted(blocks, storable(found.title)[:500].strip(), found.pages)


def _read(kind: Kind, content: bytes) -> Extracted:
    match kind:
        case "text" | "markdown":
            from adapters.documents.plain import read_markdown, read_text  # noqa: PLC0415

            return read_text(content) if kind == "text" else read_markdown(content)
        case "csv":
            from adapters.documents.tables import read_csv  # noqa: PLC0415

            return read_csv(content)
        case "html":
            from adapters.documents.markup import read_html  # noqa: PLC0415

            return read_html(content)
        case "email":
            from adapters.documents.mail import read_email  # noqa: PLC0415

            return read_email(content)
        case "pdf":
            from adapters.documents.pdf import read_pdf  # noqa: PLC0415

            return read_pdf(content)
        case "docx" | "pptx" | "xlsx":
            from adapters.documents.office import read_office  # noqa: PLC0415

            return read_office(kind, content)


def bound_blocks(blocks: Iterable[Block]) -> Iterable[Block]:
    """Yield blocks with text that can be stored.

    Raises:
        Unreadable: their text is longer than what is taken from one document.
    """
    characters = 0
    for block in blocks:
        text = storable(block.text)
        characters += len(text)
        if characters > MAX_TEXT:
            raise Unreadable("TOO_LARGE", f"the document has more than {MAX_TEXT} characters of text")
        yield Block(text, block.level, block.page)


def storable(text: str) -> str:
    """Return the text without U+0000 and halves of surrogate pairs."""
    text = text.replace("\x00", " ")
    return text if text.isascii() else text.encode(errors="replace").decode()


def decode(content: bytes, charset: str | None = None) -> str:
    """Return the bytes as text: by their byte order mark, by the named charset, as UTF-8, or else as Windows-1252."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    for name in (charset, "utf-8-sig"):
        try:
            if name:
                return content.decode(name)
        except (LookupError, ValueError):  # an unknown charset, a codec that is not for text, or other bytes
            continue
    return content.decode("cp1252", errors="replace")
