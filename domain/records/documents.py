"""Documents: all texts of one version of a record, stored as one content. Events contain the document's hash.

Erasing the content of the owner removes the texts from every view, history and past state, because none has a copy.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from secrets import token_hex
from typing import Any

import orjson

from domain.content import Content, ContentStore
from domain.errors import Invalid

_SALT = "salt"
"""A random part of each document: nobody can confirm a guessed text by the hash that is left after an erasure."""


def make_document(owner: str, values: Mapping[str, Any]) -> Content:
    """Return the values as a content of this owner, with a salt.

    Raises:
        Invalid: a text contains half a surrogate pair.
    """
    try:
        text = orjson.dumps({**values, _SALT: token_hex(16)}, option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONEncodeError as error:
        raise Invalid("a text contains half a surrogate pair") from error
    return Content(owner, text)


def parse_document(text: str | None) -> dict[str, Any] | None:
    """Return the values of a stored document; None for an erased one."""
    return None if text is None else dict(orjson.loads(text))


def read_documents(store: ContentStore, owner: str, hashes: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the stored ones of these documents, by hash; an erased one is absent."""
    return {digest: dict(orjson.loads(text)) for digest, text in store.get(owner, hashes).items()}


def fold_text(text: str) -> str:
    """Normalize a text for comparison: case, compatibility forms and composed characters do not matter.

    Folding may undo a composition, so it is normalized before and after.
    """
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
