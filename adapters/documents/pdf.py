"""PDF, by PDFium: the text of each page in reading order, as far as the file says it."""

from collections.abc import Iterator

import pypdfium2
from pypdfium2 import PdfDocument, PdfiumError, raw

from adapters.documents.reading import Unreadable
from domain.knowledge.chunking import Block
from domain.knowledge.policy import MAX_PAGES, MAX_TEXT
from domain.knowledge.ports import Extracted


def read_pdf(content: bytes) -> Extracted:
    """Return the paragraphs of each page."""
    try:
        document = PdfDocument(content)
    except PdfiumError as fault:
        if fault.err_code == raw.FPDF_ERR_PASSWORD:
            raise Unreadable("ENCRYPTED", "the PDF is encrypted with a password") from None
        raise Unreadable("BROKEN", "the PDF is broken") from None
    try:
        pages = len(document)
        if pages > MAX_PAGES:
            raise Unreadable("TOO_LARGE", f"the document has more than {MAX_PAGES} pages")
        title = str(document.get_metadata_dict().get("Title") or "")
        return Extracted(list(_blocks(document, pages)), title, pages)
    finally:
        document.close()


def _blocks(document: "pypdfium2.PdfDocument", pages: int) -> Iterator[Block]:
    characters = 0
    for number in range(pages):
        text = _text(document, number)
        characters += len(text)
        if characters > MAX_TEXT:
            raise Unreadable("TOO_LARGE", f"the document has more than {MAX_TEXT} characters of text")
        yield Block(text, page=number + 1)


def _text(document: "pypdfium2.PdfDocument", number: int) -> str:
    """Return the text of a page; none of one that is broken, which does not hide the others."""
    try:
        page = document[number]
        text = page.get_textpage()
        return str(text.get_text_bounded()).replace("\r\n", "\n").replace("\r", "\n")
    except PdfiumError:
        return ""
