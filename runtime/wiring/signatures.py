"""Composes the signing keys on the parts of this deployment."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog

from activities.signatures.signing_keys import KeyRingReader, SigningKeys, refuse_unsigned
from adapters.postgres.ledger.pool import Database
from adapters.postgres.signatures.signing_keys import PostgresEncryptedKeys
from domain.ledger import Ledger
from domain.signatures.ports import NO_SIGNER, KeyMaterial, Signer
from runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class Signatures:
    """The public keys, and the signing keys of a process that has the secret."""

    reader: KeyRingReader
    keys: SigningKeys | None

    @property
    def signer(self) -> Signer:
        return self.keys or NO_SIGNER

    def prepare(self) -> None:
        """Make the first key, or check that this process can sign with the current one.

        Raises:
            Conflict: it cannot, or has no secret where others sign. The process must not start.
            domain.errors.Unavailable: the ledger cannot be reached.
        """
        if self.keys is not None:
            self.keys.prepare()
            return
        refuse_unsigned(self.reader)
        structlog.get_logger("signatures").warning("answers are not signed: CONVERGIO_SIGNING_KEY is not set")


def make_signatures(settings: Settings, ledger: Ledger, database: Database, now: Callable[[], datetime]) -> Signatures:
    """Return the keys of this deployment; nothing is read or made yet."""
    reader, secret = KeyRingReader(ledger), settings.signing_secret
    if secret is None:
        return Signatures(reader, None)
    material = partial(_material, secret)
    return Signatures(reader, SigningKeys(ledger, PostgresEncryptedKeys(database), material, now, reader))


def verify_signature(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Return True if the Ed25519 signature of the message is by this key."""
    from adapters.cryptography.key_material import is_valid  # noqa: PLC0415  (the same)

    return is_valid(public_key, signature, message)


def _material(secret: bytes) -> KeyMaterial:
    from adapters.cryptography.key_material import Ed25519Material  # noqa: PLC0415  (memory, until it is used)

    return Ed25519Material(secret)
