"""The form of a document, by its media type, its file name and its first bytes."""

from domain.knowledge.events import Kind

_BY_MEDIA_TYPE: dict[str, Kind] = {
    "text/plain": "text",
    "text/markdown": "markdown",
    "text/x-markdown": "markdown",
    "text/html": "html",
    "application/xhtml+xml": "html",
    "application/pdf": "pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/csv": "csv",
    "message/rfc822": "email",
}
_BY_ENDING: dict[str, Kind] = {
    "txt": "text",
    "text": "text",
    "log": "text",
    "md": "markdown",
    "markdown": "markdown",
    "html": "html",
    "htm": "html",
    "xhtml": "html",
    "pdf": "pdf",
    "docx": "docx",
    "pptx": "pptx",
    "xlsx": "xlsx",
    "csv": "csv",
    "eml": "email",
}
_PDF = b"%PDF-"


def kind_of(media_type: str, file_name: str, content: bytes) -> Kind | None:
    """Return the form of a document; None if it is not one that can be read."""
    named = media_type.partition(";")[0].strip().lower()
    ending = _BY_ENDING.get(file_name.rpartition(".")[2].lower()) if "." in file_name else None
    if content.startswith(_PDF):
        return "pdf"
    known = _BY_MEDIA_TYPE.get(named)
    # many clients name every file text/plain or application/octet-stream
    if known in (None, "text") and ending is not None:
        return ending
    if known is None and named.startswith(("text/", "application/json", "application/xml")):
        return "text"
    return known
