"""Request and response models of signatures."""

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, model_validator

from api.http.schemas import MAX_TEXT, Body, Listing, Timestamp, View

MAX_SIGNATURE = 8_192
"""Maximum characters of a signature."""
_AgentName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00]*$")]
_Text = Annotated[str, Field(max_length=MAX_TEXT)]
_Signature = Annotated[str, Field(max_length=MAX_SIGNATURE)]
_GIVEN: dict[str, Any] = {
    "anyOf": [
        {
            "required": ["response", "signature"],
            "properties": {"response": {"type": "string"}, "signature": {"type": "string"}},
        },
        {"required": ["definition"], "properties": {"definition": {"type": "object"}}},
    ]
}


class PublicKey(View):
    """A public key as a JWK (RFC 8037). Signatures from `invalid_from` on are invalid; null unless it is revoked."""

    kty: Literal["OKP"] = "OKP"
    crv: Literal["Ed25519"] = "Ed25519"
    x: str
    kid: str
    use: Literal["sig"] = "sig"
    alg: Literal["EdDSA"] = "EdDSA"
    created_at: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    invalid_from: Annotated[str, Field(json_schema_extra={"format": "date-time"})] | None = None


class AgentFingerprint(View):
    """The SHA-256 of an agent's current definition as canonical JSON; `version` is the definition's number."""

    agent_id: str
    version: int
    fingerprint: str


class AgentSignatures(Listing):
    """The public keys, oldest first, which makes this a JWKS; and the agents in the order of their ids."""

    keys: list[PublicKey]
    agents: list[AgentFingerprint]


class SignRequest(Body):
    """A text to sign on behalf of an agent."""

    agent_id: _AgentName
    content: _Text


class SignedText(View):
    """The signature: a compact JWS over the SHA-256 of the text, the agent, the tenant and the time."""

    agent_id: str
    signature: str
    key_id: str
    signed_at: Timestamp
    content_hash: str


class VerifyRequest(Body):
    """A text, and the signature to check it by."""

    agent_id: _AgentName
    content: _Text
    signature: _Signature


class VerifiedText(View):
    """The result; `reason` says what is wrong. `agent_id` and `signed_at` are the signature's own, if it is genuine."""

    valid: bool
    reason: str | None
    agent_id: str | None
    signed_at: Timestamp | None
    key_id: str | None


class ValidateRequest(Body):
    """An agent's `response` with its `signature`, or a `definition` that the agent is said to have, or both."""

    model_config = ConfigDict(json_schema_extra=_GIVEN)

    agent_id: _AgentName
    response: _Text | None = None
    signature: _Signature | None = None
    definition: Annotated[
        dict[str, JsonValue] | None, Field(description="Fields as agent management and its versions have them.")
    ] = None

    @model_validator(mode="after")
    def _has_something_to_validate(self) -> Self:
        if self.definition is None and (self.response is None or self.signature is None):
            raise ValueError("needs response and signature, or definition")
        return self


class AgentValidation(View):
    """The result of a validation, and the reasons for which it is not valid."""

    valid: bool
    reasons: list[str]
