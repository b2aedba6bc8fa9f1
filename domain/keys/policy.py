"""The form of keys, and the rules of who may grant what."""

import re
from base64 import urlsafe_b64encode
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from typing import get_args

from domain.errors import Forbidden
from domain.keys.ports import GrantableScope
from domain.tenant_ids import TENANT_ID, tenant_of

KEY_PREFIX = "cvg_"
SECRET_BYTES = 32
"""The random part of a key: 256 bits."""
MAX_OVERLAP_S = 7 * 24 * 3600
"""Seconds for which a replaced text may stay valid, at most."""
MAX_SECRETS = 20
"""Texts of one key that may be valid at the same time, at most: each rotation with an overlap adds one."""
SCOPES: tuple[GrantableScope, ...] = get_args(GrantableScope)

_ID_PREFIX = "key_"
_SHOWN = 8
_KEY = re.compile(rf"{KEY_PREFIX}((?:{TENANT_ID.strip('^$')}~)?[0-9a-f]{{32}})_[A-Za-z0-9_-]{{43}}")


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """What the text of a key says by itself: its id, which names the tenant, and the hash that its stream must have."""

    id: str
    hash: bytes

    @property
    def tenant_id(self) -> str:
        return tenant_of(self.id)


def key_hash(key: str) -> bytes:
    """Return the stored form of a key, its SHA-256 (32 bytes). Keys are long and random: a slow hash is not needed."""
    return sha256(key.encode()).digest()


def key_text(key_id: str, secret: bytes) -> str:
    """Return the text of a key: its id, and the secret in base64."""
    return f"{KEY_PREFIX}{key_id.removeprefix(_ID_PREFIX)}_{urlsafe_b64encode(secret).decode().rstrip('=')}"


def key_prefix(key_id: str) -> str:
    """Return the part of a key's text by which people recognise it: eight characters of its id, none of its secret."""
    return f"{KEY_PREFIX}{key_id.removeprefix(_ID_PREFIX).rpartition('~')[2][:_SHOWN]}"


def parse_key(key: str) -> ParsedKey | None:
    """Return what a text of the form of our keys says; None for any other text."""
    found = _KEY.fullmatch(key)
    return ParsedKey(f"{_ID_PREFIX}{found[1]}", key_hash(key)) if found else None


def refuse_more_scopes(wanted: Collection[str], own: Collection[str]) -> None:
    """Return if the caller has all the scopes that it hands out.

    Raises:
        Forbidden: it has not; `scopes` names those that it lacks.
    """
    if missing := sorted(set(wanted) - set(own)):
        raise Forbidden(
            f"a key can only be given scopes that its creator has, not {', '.join(missing)}", scopes=missing
        )
