"""The commands `convergio signing-key`: list, rotate and revoke the keys that sign."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, TypeVar

import typer

from activities.signatures.signing_keys import SigningKeys
from domain.errors import DomainError
from domain.signatures.key_ring import KeyRing, SigningKey
from domain.signatures.statements import timestamp
from runtime.settings import Settings
from runtime.wiring.parts import Parts, make_parts

T = TypeVar("T")

_BY, _BECAUSE = "platform", "convergio signing-key"


def run_key_command(
    settings: Settings, action: Literal["list", "rotate", "revoke"], key_id: str | None, since: datetime | None
) -> None:
    """Run `convergio signing-key ACTION`."""
    if action == "revoke":
        revoke_key(settings, key_id or "", since)
    elif action == "rotate":
        rotate_key(settings)
    else:
        list_keys(settings)


def list_keys(settings: Settings) -> None:
    """Print all keys, oldest first."""
    ring = _with_parts(settings, lambda parts: parts.signatures.reader.ring(fresh=True))
    for key in ring.keys:
        typer.echo(_line(key, ring))
    if not ring.keys:
        typer.echo("no signing key was made yet")


def rotate_key(settings: Settings) -> None:
    """Make a new key, which signs from now on."""
    made = _with_parts(settings, lambda parts: _keys(parts).rotate(_BY, _BECAUSE))
    typer.echo(f"{made.key_id} signs from now on; earlier keys stay valid")


def revoke_key(settings: Settings, key_id: str, since: datetime | None) -> None:
    """Revoke a key; the current one is replaced first."""
    since = since.replace(tzinfo=since.tzinfo or UTC) if since is not None else None
    key = _with_parts(settings, lambda parts: _keys(parts).revoke(key_id, _BY, _BECAUSE, since))
    when = timestamp(key.invalid_from) if key.invalid_from else ""
    typer.echo(f"{key.key_id} is revoked: its signatures from {when} on are invalid, earlier ones stay valid")


def _line(key: SigningKey, ring: KeyRing) -> str:
    if key.invalid_from is not None:
        state = f"revoked, invalid from {timestamp(key.invalid_from)}"
    else:
        state = "signs" if key == ring.current else "verifies"
    return f"{key.key_id}  made {timestamp(key.created_at)}  {state}"


def _keys(parts: Parts) -> SigningKeys:
    if parts.signatures.keys is None:
        typer.echo("CONVERGIO_SIGNING_KEY is not set: without it no key can be made", err=True)
        raise typer.Exit(2)
    return parts.signatures.keys


def _with_parts(settings: Settings, command: Callable[[Parts], T]) -> T:
    parts = make_parts(settings, connections=1)
    parts.database.open()
    try:
        return command(parts)
    except DomainError as refusal:
        typer.echo(refusal.message, err=True)
        raise typer.Exit(1) from None
    finally:
        parts.database.close()
