"""Redaction of passwords in displayed texts: only URLs contain them."""

import re

_PASSWORD = re.compile(r"(?<![a-z0-9+.-])(?P<before>[a-z][a-z0-9+.-]*://[^\s/?#:@'\"]*):[^\s/'\"]*@", re.IGNORECASE)


def without_passwords(text: str) -> str:
    """Replace each `user:password@` of a URL by `user:***@`."""
    return _PASSWORD.sub(r"\g<before>:***@", text) if "@" in text and "://" in text else text
