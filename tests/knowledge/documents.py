"""Documents of all kinds, made here."""

import io
import zipfile

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


def every_kind(number: int) -> list[tuple[str, bytes, str]]:
    """A document of each kind, by file name, content and media type; its number stands in the text."""
    text = f"Document number {number} is about moon {number}."
    return [
        (f"{number}.txt", text.encode(), "text/plain"),
        (f"{number}.md", f"# Moons\n\n{text}".encode(), "text/markdown"),
        (f"{number}.html", f"<h1>Moons</h1><p>{text}</p>".encode(), "text/html"),
        (f"{number}.csv", f"name,text\nmoon,{text}".encode(), "text/csv"),
        (f"{number}.eml", EMAIL.replace(b"Two moons.", text.encode()), "message/rfc822"),
        (f"{number}.pdf", pdf([text, "The second page."]), "application/pdf"),
        (f"{number}.docx", docx(("T1", "Moons"), ("", text)), "application/octet-stream"),
        (f"{number}.pptx", pptx(("Moons", text)), "application/octet-stream"),
        (f"{number}.xlsx", xlsx(), "application/octet-stream"),
    ]
