"""A deployment that signs: its ledger, and as many processes as a test wants."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from activities.signatures.signing_keys import KeyRingReader, SigningKeys
from adapters.cryptography.key_material import Ed25519Material, is_valid
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from adapters.postgres.signatures.signing_keys import PostgresEncryptedKeys
from domain.ledger import Ledger
from domain.registry import event_registry
from domain.signatures import jws
from domain.signatures.jws import Verification
from domain.signatures.statements import SignedContent

SECRET = bytes(range(32))
AT = datetime(2026, 11, 27, 12, tzinfo=UTC)
STATEMENT = SignedContent("default", "amy_cfo", "ab" * 32, AT).statement()


@dataclass
class Deployment:
    """Processes on one ledger. `seconds` is the clock by which they reread the keys."""

    ledger: Ledger
    database: Database
    seconds: float = 0.0
    now: datetime = field(default=AT)

    def process(self, secret: bytes = SECRET) -> SigningKeys:
        reader = KeyRingReader(self.ledger, lambda: self.seconds)
        material = partial(Ed25519Material, secret)
        return SigningKeys(self.ledger, PostgresEncryptedKeys(self.database), material, lambda: self.now, reader)

    def verify(self, signature: str | None) -> Verification:
        assert signature is not None
        keys = KeyRingReader(self.ledger).ring().by_id()
        return jws.verify(signature, keys, is_valid)

    def encrypted(self) -> list[str]:
        with self.database.connection() as connection:
            return [row[0] for row in connection.execute("SELECT key_id FROM signing_key_secrets ORDER BY 1")]


@contextmanager
def deployment_on(database_url: str) -> Iterator[Deployment]:
    database = Database(database_url)
    database.open()
    try:
        yield Deployment(Ledger(LedgerRecorder(database), event_registry()), database)
    finally:
        database.close()
