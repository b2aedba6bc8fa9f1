"""Signs texts on behalf of agents, and checks texts and definitions against what was signed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pydantic import ValidationError

from domain.agents.definition import AgentDefinition, fingerprint
from domain.agents.ports import AgentReads
from domain.content import content_hash
from domain.errors import Invalid, NotFound, Unavailable
from domain.signatures import jws
from domain.signatures.jws import FAULTS, Verification
from domain.signatures.key_ring import KeyRing
from domain.signatures.ports import IsValid, Signer
from domain.signatures.statements import SignedContent

_ANSWERS = frozenset({"turn", "content"})
"""The kinds of statements that sign one text of an agent."""


class PublicKeys(Protocol):
    """The public keys of this deployment."""

    def ring(self, *, fresh: bool = False) -> KeyRing:
        """Return the keys; with `fresh` as they are now."""
        ...


@dataclass(frozen=True, slots=True)
class TextSignature:
    """A new signature of a text."""

    agent_id: str
    signature: str
    key_id: str
    signed_at: datetime
    content_hash: str


@dataclass(frozen=True, slots=True)
class TextVerification:
    """The verified signature of a text, and the reasons for which it does not prove it."""

    verified: Verification
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SignatureService:
    """The signatures of a tenant's agents."""

    agents: AgentReads
    keys: PublicKeys
    signer: Signer
    is_valid: IsValid
    now: Callable[[], datetime]

    def sign(self, tenant_id: str, agent_id: str, content: str) -> TextSignature:
        """Sign a text on behalf of an agent.

        Raises:
            NotFound: the tenant sees no such agent.
            Unavailable: this process cannot sign.
        """
        known = self.agents.get(tenant_id, agent_id).id
        at, hashed = self.now(), _hash(content)
        signature = self.signer.sign(SignedContent(tenant_id, known, hashed, at).statement())
        if signature is None:
            raise Unavailable("this deployment signs nothing: CONVERGIO_SIGNING_KEY is not set, or opens no key")
        return TextSignature(known, signature, jws.key_id_of(signature), at, hashed)

    def verify(self, tenant_id: str, agent_id: str, content: str, signature: str) -> TextVerification:
        """Check a text of an agent against a signature, which may be anything."""
        verified = jws.verify(signature, self.keys.ring().by_id(), self.is_valid)
        if verified.fault == "unknown_key":  # the key may be newer than the ring that was read last
            verified = jws.verify(signature, self.keys.ring(fresh=True).by_id(), self.is_valid)
        if verified.fault is not None:
            return TextVerification(verified, (f"the signature is not valid: {FAULTS[verified.fault]}",))
        signed, reasons = verified.statement, []
        if signed.get("kind") not in _ANSWERS:
            reasons.append("the signature is not one of an agent's text")
        if signed.get("tenant_id") != tenant_id:
            reasons.append("the signature was made in another tenant")
        if signed.get("agent_id") not in {agent_id, self._agent_id(tenant_id, agent_id)}:
            reasons.append("the signature was made for another agent")
        if signed.get("content_hash") != _hash(content):
            reasons.append("the signature is that of another text")
        return TextVerification(verified, tuple(reasons))

    def compare_definition(self, tenant_id: str, agent_id: str, definition: Mapping[str, object]) -> tuple[str, ...]:
        """Return the differences between a definition and the agent's current one; none if both are the same."""
        try:
            agent = self.agents.get(tenant_id, agent_id)
        except NotFound:
            return (f"there is no agent {agent_id}",)
        given = {"id": agent.id, **definition}
        if "system_prompt" in given:
            given["instructions"] = given.pop("system_prompt")
        current = self.agents.definition(tenant_id, agent.id, agent.deployed_version or agent.newest_version)
        try:
            claimed = AgentDefinition.model_validate(given)
        except ValidationError as error:
            fields = dict.fromkeys(str(fault["loc"][0]) for fault in error.errors() if fault["loc"])
            return tuple(f"{field}: it is not one of a definition" for field in fields)
        if fingerprint(claimed) == fingerprint(current):
            return ()
        names = [name for name in AgentDefinition.model_fields if getattr(claimed, name) != getattr(current, name)]
        return tuple(f"{name}: the current definition has another one" for name in names)

    def _agent_id(self, tenant_id: str, agent_id: str) -> str | None:
        try:
            return self.agents.get(tenant_id, agent_id).id
        except NotFound:
            return None


def _hash(text: str) -> str:
    """Return the hash of a text.

    Raises:
        Invalid: it contains half a surrogate pair, so that it is no text.
    """
    try:
        return content_hash(text)
    except UnicodeEncodeError as error:
        raise Invalid("the text contains half a surrogate pair") from error
