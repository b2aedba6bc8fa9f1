"""E-mails: subject, sender, date, and their text; of attachments only the names."""

from email import policy
from email.errors import MessageError
from email.message import EmailMessage
from email.parser import BytesParser

from adapters.documents.markup import read_html
from adapters.documents.plain import read_text
from adapters.documents.reading import Unreadable, decode
from domain.knowledge.chunking import Block
from domain.knowledge.ports import Extracted

_HEADERS = ("From", "To", "Cc", "Date")
_MAX_HEADER = 500


def read_email(content: bytes) -> Extracted:
    """Return an e-mail as a heading, its headers, and its body: the plain one, if it has one."""
    try:
        message = BytesParser(policy=policy.default).parsebytes(content)
        if not isinstance(message, EmailMessage) or not message.keys():
            raise Unreadable("BROKEN", "the e-mail cannot be read")
        subject = _header(message, "Subject")
        about = [f"{name}: {value}" for name in _HEADERS if (value := _header(message, name))]
        body = message.get_body(("plain", "html"))
        blocks = list(_body(body) if isinstance(body, EmailMessage) else [])
        names = [part.get_filename() or "" for part in message.iter_attachments()]
    except (MessageError, LookupError, ValueError, TypeError, AttributeError, RecursionError):
        # what the parser of the standard library raises on hostile headers
        raise Unreadable("BROKEN", "the e-mail cannot be read") from None
    attached = [Block(f"Attachments: {', '.join(name[:200] for name in names if name)}")] if any(names) else []
    heading = [Block(subject, 1)] if subject else []
    return Extracted([*heading, Block("\n".join(about)), *blocks, *attached], subject)


def _header(message: EmailMessage, name: str) -> str:
    return " ".join(str(message.get(name, "")).split())[:_MAX_HEADER]


def _body(body: EmailMessage) -> "list[Block]":
    payload = body.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    text = decode(content, body.get_content_charset())
    is_html = body.get_content_type() == "text/html"
    return list((read_html(text) if is_html else read_text(text.encode(errors="replace"))).blocks)
