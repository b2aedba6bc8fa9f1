"""The signing keys in use by a process: read from the ledger, made once, rotated and revoked."""

import time
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from threading import Lock

import structlog

from domain.errors import Conflict, VersionConflict
from domain.events import Cause
from domain.ledger import Change, Ledger, retry_on_conflict
from domain.signatures import jws, key_ring
from domain.signatures.events import STREAM
from domain.signatures.key_ring import PROPAGATION, KeyRing, SigningKey
from domain.signatures.ports import EncryptedKeyStore, KeyMaterial
from domain.signatures.statements import Statement
from domain.tenant_ids import DEFAULT

REREAD_S = 2.0
"""Age, in seconds, at which the keys are read again before they are used."""


class KeyRingReader:
    """The public keys as the ledger has them, at most `REREAD_S` seconds old."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._clock = clock
        self._ring = KeyRing()
        self._read_at = float("-inf")
        self._lock = Lock()

    def ring(self, *, fresh: bool = False) -> KeyRing:
        """Return the keys; with `fresh` as they are now.

        Raises:
            domain.errors.Unavailable: the ledger cannot be reached.
        """
        with self._lock:
            began = self._clock()
            if fresh or began - self._read_at > REREAD_S:
                newer = self._ledger.read(STREAM, after=self._ring.version)
                self._ring = key_ring.load(self._ring, newer)
                self._read_at = began
            return self._ring


class SigningKeys:
    """`domain.signatures.ports.Signer` with the deployment's current key, which is made if there is none.

    Signing takes no I/O but the reading of the keys every two seconds. A process that cannot open a new key goes on
    with the one that it has, which stays valid; one whose key was revoked signs nothing, so that what was paid for is
    recorded all the same.
    """

    def __init__(
        self,
        ledger: Ledger,
        encrypted: EncryptedKeyStore,
        material: Callable[[], KeyMaterial],
        now: Callable[[], datetime],
        reader: KeyRingReader,
    ) -> None:
        """`material` is called when a key is first used: its library takes memory that not every process needs."""
        self._ledger = ledger
        self._encrypted = encrypted
        self._make_material = material
        self._now = now
        self._reader = reader
        self._lock = Lock()
        self._in_use: tuple[str, str, Callable[[bytes], bytes]] | None = None
        self._unusable: str | None = None
        self._log = structlog.get_logger("signatures")

    @cached_property
    def _material(self) -> KeyMaterial:
        return self._make_material()

    def sign(self, statement: Statement) -> str | None:
        ring = self._reader.ring()
        key = ring.current or self._make_first(ring)
        in_use = self._in_use
        if in_use is None or in_use[0] != key.key_id:
            in_use = self._switch(key, ring)
        return None if in_use is None else jws.encode(in_use[1], statement, in_use[2])

    def prepare(self) -> str:
        """Make the first key if there is none, and return the id of the current one.

        Raises:
            Conflict: the secret of this process does not open it. The process must not start.
            domain.errors.Unavailable: the ledger cannot be reached.
        """
        ring = self._reader.ring(fresh=True)
        key = ring.current or self._make_first(ring)
        if self._open(key) is None:
            raise Conflict(
                f"CONVERGIO_SIGNING_KEY does not open the signing key {key.key_id} in the database: set the one that it"
                " was made with, or, if that is lost, make a new signing key: convergio signing-key rotate"
            )
        return key.key_id

    def opens(self, key: SigningKey) -> bool:
        """Return true if the secret of this process opens this key. Nothing is made.

        Raises:
            domain.errors.Unavailable: the database cannot be reached.
        """
        return self._open(key) is not None

    def rotate(self, by: str, because: str) -> SigningKey:
        """Make a new key, which signs from now on. Earlier ones stay valid."""
        return retry_on_conflict(lambda: self._make(self._reader.ring(fresh=True), by, because))

    def rotate_once(self, by: str, because: str) -> SigningKey:
        """Make a new key, unless one was made for this cause already: then return that one."""

        def write() -> SigningKey:
            ring = self._reader.ring(fresh=True)
            made = key_ring.made_because(self._ledger.read(STREAM), because)
            known = ring.find(made) if made is not None else None
            return known if known is not None else self._make(ring, by, because)

        return retry_on_conflict(write)

    def revoke(self, key_id: str, by: str, because: str, invalid_from: datetime | None = None) -> SigningKey:
        """Revoke a key, by default from when every process has learnt of it. The current one is replaced first.

        Raises:
            NotFound: there is no such key.
        """
        wanted = invalid_from or self._now() + PROPAGATION

        def write() -> SigningKey:
            ring = self._reader.ring(fresh=True)
            cause = Cause(by, because, self._now(), DEFAULT)
            events = key_ring.revoke(ring, key_id, wanted, cause)
            if events and ring.current is not None and ring.current.key_id == key_id:
                self._make(ring, by, because)
                ring = self._reader.ring(fresh=True)
            if events:
                self._ledger.append(
                    Change(STREAM, ring.version, events), key=f"signing_key:revoke:{key_id}:{ring.version}"
                )
                ring = self._reader.ring(fresh=True)
            return ring.by_id()[key_id]

        return retry_on_conflict(write)

    def _make_first(self, ring: KeyRing) -> SigningKey:
        """Make a key where none can sign; if another process is quicker, use that one's."""
        try:
            return self._make(ring, "platform", "no signing key")
        except VersionConflict:
            made = self._reader.ring(fresh=True).current
            if made is None:
                raise
            return made

    def _make(self, ring: KeyRing, by: str, because: str) -> SigningKey:
        private_key, public_key = self._material.generate()
        event = key_ring.key_created(public_key, Cause(by, because, self._now(), DEFAULT))
        # the private part first: a key that can be read in the ledger can always be used
        self._encrypted.put(event.key_id, self._material.encrypt(event.key_id, private_key))
        try:
            self._ledger.append(Change(STREAM, ring.version, [event]), key=f"signing_key:create:{event.key_id}")
        except VersionConflict:
            self._encrypted.delete(event.key_id)
            raise
        return self._reader.ring(fresh=True).by_id()[event.key_id]

    def _switch(self, key: SigningKey, ring: KeyRing) -> tuple[str, str, Callable[[bytes], bytes]] | None:
        with self._lock:
            opened = self._open(key) if self._unusable != key.key_id else None
            if opened is not None:
                self._in_use = key.key_id, jws.protected_header(key.key_id), opened
                return self._in_use
            if self._unusable != key.key_id:
                self._unusable = key.key_id
                self._log.error("the new signing key cannot be opened: restart with its secret", key_id=key.key_id)
            old = ring.find(self._in_use[0]) if self._in_use else None
            return self._in_use if old is not None and old.invalid_from is None else None

    def _open(self, key: SigningKey) -> Callable[[bytes], bytes] | None:
        encrypted = self._encrypted.get(key.key_id)
        private_key = self._material.decrypt(key.key_id, encrypted) if encrypted is not None else None
        return self._material.signing_function(private_key) if private_key is not None else None


def refuse_unsigned(reader: KeyRingReader) -> None:
    """Return if no signing key was ever made; a process without the secret must not start otherwise.

    Raises:
        Conflict: the deployment signs, and answers of this process would have no signature.
        domain.errors.Unavailable: the ledger cannot be reached.
    """
    if reader.ring(fresh=True).keys:
        raise Conflict(
            "this deployment signs its answers, and CONVERGIO_SIGNING_KEY is not set: set the one that the others have"
        )
