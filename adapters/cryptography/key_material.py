"""Ed25519 keys, and AES-256-GCM for their private parts."""

from collections.abc import Callable
from secrets import token_bytes

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12


class Ed25519Material:
    """`domain.signatures.ports.KeyMaterial` under a secret of 32 bytes."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(secret)

    def generate(self) -> tuple[bytes, bytes]:
        private_key = Ed25519PrivateKey.generate()
        return private_key.private_bytes_raw(), private_key.public_key().public_bytes_raw()

    def encrypt(self, key_id: str, private_key: bytes) -> bytes:
        nonce = token_bytes(_NONCE)
        # the id is authenticated too: the row of one key cannot stand in for another's
        return nonce + self._cipher.encrypt(nonce, private_key, key_id.encode())

    def decrypt(self, key_id: str, encrypted: bytes) -> bytes | None:
        try:
            return self._cipher.decrypt(encrypted[:_NONCE], encrypted[_NONCE:], key_id.encode())
        except (InvalidTag, ValueError):
            return None

    def signing_function(self, private_key: bytes) -> Callable[[bytes], bytes]:
        return Ed25519PrivateKey.from_private_bytes(private_key).sign


def is_valid(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Return True if the Ed25519 signature of the message is by this key."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
