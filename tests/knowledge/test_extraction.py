"""Documents of all kinds as text, and hostile ones as refusals, in bounded time and memory."""

import pytest

from adapters.documents.extractor import ProcessExtractor
from adapters.documents.reading import Unreadable, read_document
from domain.knowledge.chunking import Block
from domain.knowledge.events import Kind
from domain.knowledge.ports import ExtractionFailed
from domain.separate_process import WorkLimits
from tests.knowledge.documents import EMAIL, HTML, W, archive, docx, pdf, pptx, xlsx


def blocks(kind: Kind, content: bytes) -> list[tuple[str, int]]:
    return [(block.text.strip(), block.level) for block in read_document(kind, content).blocks if block.text.strip()]


def test_text_is_split_into_paragraphs() -> None:
    assert blocks("text", b"One.\r\n\r\nTwo\r\nlines.") == [("One.", 0), ("Two\nlines.", 0)]
    assert blocks("text", "\ufeffé".encode()) == [("é", 0)]
    assert blocks("text", "é".encode("utf-16")) == [("é", 0)]
    assert blocks("text", b"caf\xe9") == [("café", 0)]


def test_markdown_has_headings_but_not_inside_of_code() -> None:
    content = b"# Guide\n\nText.\n\n```\n# no heading\n```\n\nUse\n---\n\n## More ##\nEnd."
    assert blocks("markdown", content) == [
        ("Guide", 1),
        ("Text.", 0),
        ("```\n# no heading\n```", 0),
        ("Use", 2),
        ("More", 2),
        ("End.", 0),
    ]


def test_a_page_has_its_texts_without_scripts_and_navigation() -> None:
    found = read_document("html", HTML)
    assert found.title == "Moons"
    assert blocks("html", HTML) == [("Jupiter", 1), ("Four large moons.", 0), ("Io", 0), ("Europa", 0)]


def test_rows_of_a_table_name_their_columns() -> None:
    assert blocks("csv", b"name;price\nMoon;7\nSun;\n") == [
        ("name | price", 0),
        ("name: Moon; price: 7", 0),
        ("name: Sun", 0),
    ]


def test_an_e_mail_has_subject_sender_text_and_the_names_of_its_attachments() -> None:
    found = blocks("email", EMAIL)
    assert found[0] == ("Moons é", 1)
    assert "From: Ann <ann@example.com>" in found[1][0]
    assert ("Two moons.", 0) in found
    assert found[-1] == ("Attachments: m.pdf", 0)


def test_office_documents_have_headings_slides_and_rows() -> None:
    assert blocks("docx", docx(("T1", "Guide"), ("", "Text."), ("Heading2", "More"))) == [
        ("Guide", 1),
        ("Text.", 0),
        ("More", 2),
    ]
    slides = read_document("pptx", pptx(("One", "First."), ("Two", "Second.")))
    assert slides.pages == 2
    assert list(slides.blocks)[-1] == Block("Second.", 0, 2)
    assert blocks("xlsx", xlsx()) == [("Prices", 1), ("Item | Price", 0), ("Item: Moon; Price: 7.5", 0)]


def test_a_pdf_has_the_text_of_each_page() -> None:
    found = read_document("pdf", pdf(["Two moons", "One sun"]))
    assert found.pages == 2
    assert [(block.text.strip(), block.page) for block in found.blocks] == [("Two moons", 1), ("One sun", 2)]


BOMB = archive({"word/document.xml": f'<w:document xmlns:w="{W}">{" " * (70 * 2**20)}</w:document>'})
ENTITIES = archive(
    {
        "word/document.xml": '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
        '<!ENTITY c SYSTEM "file:///etc/passwd">]>'
        f'<w:document xmlns:w="{W}"><w:body><w:p><w:r><w:t>&b;&c;</w:t></w:r></w:p></w:body></w:document>'
    }
)
HOSTILE: list[tuple[Kind, bytes, str]] = [
    ("text", b"", "EMPTY"),
    ("text", b" \n\t ", "EMPTY"),
    ("text", b"\x00\x00", "NO_TEXT"),
    ("html", b"<script>alert(1)</script>", "NO_TEXT"),
    ("html", b"<!-- -->", "NO_TEXT"),
    ("pdf", b"%PDF-1.4 broken", "BROKEN"),
    ("pdf", pdf(["secret"], password="x"), "ENCRYPTED"),
    ("pdf", pdf([""]), "NO_TEXT"),
    ("docx", b"PK\x03\x04 broken", "BROKEN"),
    ("docx", b"no archive", "BROKEN"),
    ("docx", archive({"other.xml": "<a/>"}), "BROKEN"),
    ("docx", archive({"word/document.xml": "<a>"}), "BROKEN"),
    ("docx", BOMB, "TOO_LARGE"),
    ("docx", ENTITIES, "NO_TEXT"),
    ("xlsx", archive({f"a{n}": "" for n in range(10_001)}), "TOO_LARGE"),
    ("pptx", archive({"ppt/slides/slide1.xml": "\x00"}), "BROKEN"),
    ("email", b"\x00\x01\x02", "BROKEN"),
]


@pytest.mark.parametrize(("kind", "content", "code"), HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_document_is_refused_with_a_reason(kind: Kind, content: bytes, code: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read_document(kind, content)
    assert refused.value.code == code
    assert refused.value.message


def test_nulls_and_broken_characters_are_replaced() -> None:
    [block] = read_document("text", b"a\x00b\xff").blocks
    assert "\x00" not in block.text
    assert block.text.encode()


@pytest.fixture(scope="module")
def extractor() -> ProcessExtractor:
    return ProcessExtractor()


def test_a_document_is_read_in_another_process(extractor: ProcessExtractor) -> None:
    assert extractor.extract("html", HTML).title == "Moons"
    with pytest.raises(ExtractionFailed) as refused:
        extractor.extract("docx", BOMB)
    assert refused.value.code == "TOO_LARGE"


def test_five_thousand_pages_are_read(extractor: ProcessExtractor) -> None:
    found = extractor.extract("pdf", pdf([f"Page {n} about moons" for n in range(5_000)]))
    assert found.pages == 5_000
    assert sum(1 for _ in found.blocks) == 5_000


@pytest.mark.parametrize("content", [b"<div>" * 2_000_000, b"<p>word " * 1_250_000], ids=["deep", "long"])
def test_ten_megabytes_of_markup_are_read_or_given_up(content: bytes) -> None:
    limited = ProcessExtractor(WorkLimits(cpu_s=3, wait_s=20, memory=1024 * 2**20))
    try:
        assert limited.extract("html", content).blocks
    except ExtractionFailed as refused:
        nothing = {"NO_TEXT"} if b"word" not in content else set()
        assert refused.code in {"TOO_EXPENSIVE", *nothing}  # noqa: PT017  (it may as well be read)


def test_work_without_end_is_given_up() -> None:
    limited = ProcessExtractor(WorkLimits(cpu_s=0.2, wait_s=5, memory=1024 * 2**20))
    with pytest.raises(ExtractionFailed) as refused:
        limited.extract("pdf", pdf([f"Page {n}" for n in range(9_000)]))
    assert refused.value.code == "TOO_EXPENSIVE"
