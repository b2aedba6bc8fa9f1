"""The API as a process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.metadata import version
from typing import Any

import uvicorn
from fastapi import FastAPI
from temporalio.client import Client

from api import agent_management, agents, ali, ali_insights, approvals, chat, chat_turns, costs, swarm
from api.ali_answers import Answers
from api.ali_runs import Ali
from api.app import ApiParts, ApiSettings, create_app
from api.approval_runs import ApprovalRuns
from api.auth import key_hash
from api.chat_runs import ChatRuns
from api.conversations import Conversations
from api.decisions import Decisions
from api.dependencies import Positions
from api.health import Probes
from api.server import Http
from api.swarm_runs import SwarmRuns
from api.swarms import Swarms
from domain.agents.commands import AgentCommands
from domain.ali.thresholds import Thresholds
from domain.governance.ports import Unlimited
from runtime import probes, temporal
from runtime.bootstrap import Parts, answers, catalogue, make_parts, now, positions, rate_limiter
from runtime.loops import freeze, quick_loop
from runtime.settings import Settings

CONNECTIONS = 16
_GRACE_S = 30


def run_api(settings: Settings) -> None:
    """The process `convergio api`."""
    with quick_loop() as runner:
        runner.run(_run(settings))


async def _run(settings: Settings) -> None:
    app = make_app(settings, make_parts(settings, connections=CONNECTIONS), await temporal.connect(settings, lazy=True))
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=Http,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    freeze()
    await uvicorn.Server(config).serve()


def make_app(settings: Settings, parts: Parts, client: Client) -> FastAPI:
    """The API on these parts. It opens them when it starts and closes them when it stops."""
    if not settings.auth_on:
        parts.risks.refuse_without_keys()
    limiter, live = rate_limiter(settings), positions(parts)
    conversations = Conversations(
        ChatRuns(client),
        parts.admission,
        parts.chats,
        live,
        call_timeout=timedelta(seconds=settings.model_timeout_s),
        pause=timedelta(seconds=settings.model_pause_s),
    )

    swarms = _swarms(settings, parts, client, live)

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        parts.database.open()
        live.start()
        try:
            yield
        finally:
            live.close()
            if not isinstance(limiter, Unlimited):
                await limiter.close()
            await parts.toolbox.aclose()
            await parts.model.aclose()
            await asyncio.to_thread(parts.database.close)

    return create_app(
        ApiParts(
            settings=_api_settings(settings),
            answers=answers(parts),
            limiter=limiter,
            probes=Probes(probes.servers(settings, parts, client), live.states),
            positions=live,
            routers=(
                chat.router(conversations, parts.chats, parts.content),
                chat_turns.router(parts.ledger, now),
                ali.router(_ali(parts, live, conversations, swarms)),
                ali_insights.router(ali_insights.Watch(parts.ali, now, Thresholds())),
                agents.router(parts.agents),
                agent_management.router(
                    agent_management.Desk(
                        AgentCommands(parts.ledger, parts.agents, parts.toolbox.servers),
                        parts.agents,
                        catalogue(settings, parts),
                        live,
                        now,
                    )
                ),
                approvals.router(parts.approvals, _decisions(parts, client)),
                costs.router(parts.costs, now),
                swarm.router(swarms, parts.swarms, parts.content, now),
            ),
            lifespan=lifespan,
        )
    )


def _swarms(settings: Settings, parts: Parts, client: Client, live: Positions) -> Swarms:
    return Swarms(
        SwarmRuns(client),
        parts.swarms,
        parts.swarms,
        ledger=parts.ledger,
        content=parts.content,
        positions=live,
        now=now,
        call_timeout=timedelta(seconds=settings.model_timeout_s),
        pause=timedelta(seconds=settings.model_pause_s),
    )


def _ali(parts: Parts, live: Positions, conversations: Conversations, swarms: Swarms) -> ali.AliParts:
    return ali.AliParts(
        Ali(conversations, parts.agents, parts.chats, parts.content, live),
        Answers(parts.tools, parts.content, live),
        conversations,
        swarms,
        parts.chats,
        parts.content,
        now,
    )


def _decisions(parts: Parts, client: Client) -> Decisions:
    return Decisions(ApprovalRuns(client, notices=parts.webhooks is not None), parts.ledger, parts.content, now)


def _api_settings(settings: Settings) -> ApiSettings:
    key = settings.admin_key
    return ApiSettings(
        version=version("convergio"),
        auth_on=settings.auth_on,
        admin_key_hash=key_hash(key.get_secret_value()) if key else None,
        loopback=settings.loopback,
        cors_origins=settings.cors_origins,
        allowed_hosts=settings.allowed_hosts,
    )
