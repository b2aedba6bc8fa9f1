"""Ports of signatures: who signs, and the cryptography of keys."""

from collections.abc import Callable
from typing import Protocol

from domain.signatures.statements import Statement

IsValid = Callable[[bytes, bytes, bytes], bool]
"""Checks an Ed25519 signature, given public key, signature and message. It raises nothing."""


class Signer(Protocol):
    """Signs statements with the current key of the deployment."""

    def sign(self, statement: Statement) -> str | None:
        """Return the compact JWS; None if this process signs nothing, or cannot open the key.

        Raises:
            domain.errors.Unavailable: the keys could not be read for too long. Nothing can be appended then either.
        """
        ...


class NoSigner:
    """The null object: nothing is signed."""

    def sign(self, statement: Statement) -> str | None:  # noqa: ARG002  (as the protocol has it)
        return None


NO_SIGNER = NoSigner()


class KeyMaterial(Protocol):
    """Ed25519, and the encryption of private keys at rest."""

    def generate(self) -> tuple[bytes, bytes]:
        """Return a new private and public key, raw."""
        ...

    def encrypt(self, key_id: str, private_key: bytes) -> bytes: ...

    def decrypt(self, key_id: str, encrypted: bytes) -> bytes | None:
        """Return the private key; None if it was encrypted under another secret, or changed."""
        ...

    def signing_function(self, private_key: bytes) -> Callable[[bytes], bytes]: ...


class EncryptedKeyStore(Protocol):
    """The encrypted private keys, by key id."""

    def put(self, key_id: str, encrypted: bytes) -> None: ...

    def get(self, key_id: str) -> bytes | None: ...

    def delete(self, key_id: str) -> None: ...
