"""Routes of signatures: public keys, signing and verification."""

from fastapi import APIRouter

from api.http.dependencies import CurrentTenant, Paged, fresh, requires
from api.signatures.schemas import (
    AgentFingerprint,
    AgentSignatures,
    AgentValidation,
    PublicKey,
    SignedText,
    SignRequest,
    ValidateRequest,
    VerifiedText,
    VerifyRequest,
)
from api.signatures.service import SignatureService
from domain.agents.ports import AgentFilter
from domain.signatures.export import moment


def router(signatures: SignatureService) -> APIRouter:
    """Build the routes below `/api/v1/agents` and `/api/v1/agent-signatures`."""
    routes = APIRouter(prefix="/api/v1", dependencies=[fresh("agents")])
    _add_agent_routes(routes, signatures)
    _add_text_routes(routes, signatures)
    return routes


def _add_agent_routes(routes: APIRouter, signatures: SignatureService) -> None:
    @routes.get("/agents/signatures", tags=["AI Agents"], dependencies=[requires("read")])
    def list_signatures(page: Paged, tenant_id: CurrentTenant) -> AgentSignatures:
        """Lists the public keys (a JWKS), and the fingerprint of each agent's current definition."""
        found = signatures.agents.page(AgentFilter(tenant_id), skip=page.skip, limit=page.limit)
        return AgentSignatures(
            keys=[PublicKey.model_validate(key) for key in signatures.keys.ring(fresh=True).jwks()],
            agents=[
                AgentFingerprint(
                    agent_id=agent.id,
                    version=agent.deployed_version or agent.newest_version,
                    fingerprint=agent.fingerprint,
                )
                for agent in found.agents
            ],
            **page.listing_fields(found.total),
        )

    @routes.post("/agents/validate", tags=["AI Agents"], dependencies=[requires("read")])
    def validate_agent(body: ValidateRequest, tenant_id: CurrentTenant) -> AgentValidation:
        """Validates a response by its signature, or a definition by the agent's current one."""
        reasons: list[str] = []
        if body.response is not None or body.signature is not None:
            checked = signatures.verify(tenant_id, body.agent_id, body.response or "", body.signature or "")
            reasons += checked.reasons
        if body.definition is not None:
            reasons += signatures.compare_definition(tenant_id, body.agent_id, body.definition)
        return AgentValidation(valid=not reasons, reasons=reasons)


def _add_text_routes(routes: APIRouter, signatures: SignatureService) -> None:
    @routes.post("/agent-signatures/sign", tags=["Agent Signatures"], dependencies=[requires("write")])
    def sign_content(body: SignRequest, tenant_id: CurrentTenant) -> SignedText:
        """Signs a text on behalf of an agent. Answers of agents are signed without being asked."""
        return SignedText.model_validate(signatures.sign(tenant_id, body.agent_id, body.content))

    @routes.post("/agent-signatures/verify", tags=["Agent Signatures"], dependencies=[requires("read")])
    def verify_signature(body: VerifyRequest, tenant_id: CurrentTenant) -> VerifiedText:
        """Verifies a text of an agent by its signature, that of an answer or of a signed text."""
        checked = signatures.verify(tenant_id, body.agent_id, body.content, body.signature)
        verified = checked.verified
        signed = verified.statement if verified.fault is None else {}
        agent_id = signed.get("agent_id")
        return VerifiedText(
            valid=not checked.reasons,
            reason="; ".join(checked.reasons) or None,
            agent_id=agent_id if isinstance(agent_id, str) else None,
            signed_at=moment(signed.get("at")),
            key_id=verified.key_id if verified.fault is None else None,
        )
