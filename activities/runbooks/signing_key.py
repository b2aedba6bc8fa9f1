"""Steps of `rotate-signing-key`."""

from asyncio import to_thread
from collections.abc import Callable, Mapping
from datetime import datetime

from activities.runbooks.steps import RunbookContext, StepHandler, StepResult
from activities.signatures.signing_keys import KeyRingReader, SigningKeys
from domain.errors import Conflict


class SigningKeySteps:
    """Rotates the signing key, once for each run."""

    def __init__(self, reader: KeyRingReader, keys: SigningKeys | None, now: Callable[[], datetime]) -> None:
        self._reader = reader
        self._keys = keys
        self._now = now

    def handlers(self) -> Mapping[tuple[str, str], StepHandler]:
        return {
            ("rotate-signing-key", "inspect"): self.inspect,
            ("rotate-signing-key", "rotate"): self.rotate,
            ("rotate-signing-key", "verify"): self.verify,
        }

    async def inspect(self, context: RunbookContext) -> StepResult:
        """Read the current key.

        Raises:
            Conflict: this deployment does not sign.
        """
        del context
        self._signing_keys()
        ring = await to_thread(self._reader.ring, fresh=True)
        current = ring.current
        age = (self._now() - current.created_at).total_seconds() if current else None
        return {"keys": len(ring.keys), "key_id": current.key_id if current else None, "age_s": age}

    async def rotate(self, context: RunbookContext) -> StepResult:
        """Make a new key, unless this run has made one."""
        keys = self._signing_keys()
        if context.dry_run:
            return {"would_make": 1}
        made = await to_thread(keys.rotate_once, context.by, context.run_id)
        return {"key_id": made.key_id}

    async def verify(self, context: RunbookContext) -> StepResult:
        """Check that the current key can be opened with the secret of this deployment.

        Raises:
            Conflict: it cannot.
        """
        del context
        keys, ring = self._signing_keys(), await to_thread(self._reader.ring, fresh=True)
        if ring.current is None or not await to_thread(keys.opens, ring.current):
            raise Conflict("the secret of this deployment does not open the current signing key")
        return {"keys": len(ring.keys), "key_id": ring.current.key_id}

    def _signing_keys(self) -> SigningKeys:
        if self._keys is None:
            raise Conflict("this deployment does not sign: CONVERGIO_SIGNING_KEY is not set")
        return self._keys
