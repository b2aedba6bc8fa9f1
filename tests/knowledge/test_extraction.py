"""Documents of all kinds as text, and hostile ones as refusals, in bounded time and memory."""

import io
import time
import zipfile

import pytest

from adapters.documents.extractor import ProcessExtractor
from adapters.documents.reading import Unreadable, read_document
from domain.knowledge.chunking import Block
from domain.knowledge.events import Kind
from domain.knowledge.ports import ExtractionFailed
from domain.separate_process import WorkLimits

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
A = "http://schemas.openxmlformats.org/drawingml/2006/main"
P = "http://schemas.openxmlformats.org/presentationml/2006/main"
S = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def archive(parts: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in parts.items():
            file.writestr(name, text)
    return made.getvalue()


def docx(*paragraphs: tuple[str, str]) -> bytes:
    body = "".join(
        f'<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>'
        for style, text in paragraphs
    )
    styles = f'<w:styles xmlns:w="{W}"><w:style w:styleId="T1"><w:name w:val="heading 1"/></w:style></w:styles>'
    return archive(
        {
            "word/document.xml": f'<w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>',
            "word/styles.xml": styles,
        }
    )


def pptx(*slides: tuple[str, str]) -> bytes:
    def slide(title: str, text: str) -> str:
        return (
            f'<p:sld xmlns:p="{P}" xmlns:a="{A}"><p:sp><p:nvSpPr><p:nvPr><p:ph type="title"/></p:nvPr></p:nvSpPr>'
            f"<p:txBody><a:p><a:r><a:t>{title}</a:t></a:r></a:p></p:txBody></p:sp>"
            f"<p:sp><p:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp></p:sld>"
        )

    return archive({f"ppt/slides/slide{n}.xml": slide(*each) for n, each in enumerate(slides, 1)})


def xlsx() -> bytes:
    return archive(
        {
            "xl/workbook.xml": f'<workbook xmlns="{S}"><sheets><sheet name="Prices"/></sheets></workbook>',
            "xl/sharedStrings.xml": (
                f'<sst xmlns="{S}"><si><t>Item</t></si><si><t>Price</t></si><si><t>Moon</t></si></sst>'
            ),
            "xl/worksheets/sheet1.xml": (
                f'<worksheet xmlns="{S}"><sheetData>'
                '<row><c r="A1" t="s"><v>0</v></c><c r="C1" t="s"><v>1</v></c></row>'
                '<row><c r="A2" t="s"><v>2</v></c><c r="C2"><v>7.5</v></c></row>'
                "</sheetData></worksheet>"
            ),
        }
    )


def pdf(pages: list[str], *, password: str | None = None) -> bytes:
    """A PDF of lines of text, written by hand: PDFium writes none."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    kids = []
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for text in pages:
        stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET"
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {len(objects)} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    written = io.BytesIO(b"")
    written.write(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(written.tell())
        written.write(f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1"))
    start = written.tell()
    written.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode())
    for place in places:
        written.write(f"{place:010} 00000 n \n".encode())
    encrypt = "/Encrypt << /Filter /Standard /V 1 /R 2 /P -1 /O (x) /U (x) >> /ID [(a) (a)]" if password else ""
    written.write(f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R {encrypt} >>\nstartxref\n{start}\n%%EOF".encode())
    return written.getvalue()


EMAIL = (
    b"From: Ann <ann@example.com>\r\nTo: bob@example.com\r\nSubject: =?utf-8?q?Moons_=C3=A9?=\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n\r\nTwo moons.\r\n--x\r\n"
    b"Content-Type: application/pdf\r\nContent-Disposition: attachment; filename=m.pdf\r\n\r\n%PDF\r\n--x--\r\n"
)
HTML = (
    b"<html><head><title>Moons</title><style>p{}</style></head><body><nav>Home</nav><h1>Jupiter</h1>"
    b"<p>Four <b>large</b> moons.</p><script>alert(1)</script><ul><li>Io</li><li>Europa</li></ul>"
    b"<footer>Imprint</footer></body></html>"
)


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
    began = time.monotonic()
    found = extractor.extract("pdf", pdf([f"Page {n} about moons" for n in range(5_000)]))
    assert found.pages == 5_000
    assert sum(1 for _ in found.blocks) == 5_000
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("content", [b"<div>" * 2_000_000, b"<p>word " * 1_250_000], ids=["deep", "long"])
def test_ten_megabytes_of_markup_are_read_or_given_up(content: bytes) -> None:
    limited = ProcessExtractor(WorkLimits(cpu_s=3, wait_s=20, memory=1024 * 2**20))
    began = time.monotonic()
    try:
        assert limited.extract("html", content).blocks
    except ExtractionFailed as refused:
        assert refused.code == "TOO_EXPENSIVE"  # noqa: PT017  (it may as well be read)
    assert time.monotonic() - began < 25


def test_work_without_end_is_given_up() -> None:
    limited = ProcessExtractor(WorkLimits(cpu_s=0.2, wait_s=5, memory=1024 * 2**20))
    with pytest.raises(ExtractionFailed) as refused:
        limited.extract("pdf", pdf([f"Page {n}" for n in range(9_000)]))
    assert refused.value.code == "TOO_EXPENSIVE"
