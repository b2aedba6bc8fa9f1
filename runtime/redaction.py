"""Passwords out of what is shown: URLs are the one place where ours stand in a text."""

import re

_PASSWORD = re.compile(r"(?<![a-z0-9+.-])(?P<before>[a-z][a-z0-9+.-]*://[^\s/?#:@'\"]*):[^\s/'\"]*@", re.IGNORECASE)


def without_passwords(text: str) -> str:
    """The text with each `user:password@` of a URL as `user:***@`."""
    return _PASSWORD.sub(r"\g<before>:***@", text) if "@" in text and "://" in text else text
