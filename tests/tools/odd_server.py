"""An MCP server over HTTP that says what real ones have been seen to say: raw JSON, no SDK between."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

ADD: dict[str, Any] = {"name": "add", "description": "Add.", "inputSchema": {"type": "object"}}


@dataclass
class OddServer:
    """`forgets` is what a request of an unknown session gets; `tools` is the list as it goes over the wire."""

    tools: list[Any] = field(default_factory=lambda: [ADD])
    forgets: dict[str, Any] = field(default_factory=lambda: {"status": 404})
    result: dict[str, Any] = field(default_factory=lambda: {"content": [{"type": "text", "text": "done"}]})
    sessions: set[str] = field(default_factory=set)
    opened: int = 0
    calls: list[str] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        if request.method != "POST":
            return web.Response(status=405)
        body = await request.json()
        if body["method"] == "initialize":
            self.opened += 1
            session = f"session-{self.opened}"
            self.sessions.add(session)
            about = {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "odd", "version": "1"},
            }
            return web.json_response(_reply(body, about), headers={"mcp-session-id": session})
        if "id" not in body:
            return web.Response(status=202)
        if body["method"] not in {"tools/list", "tools/call"}:
            return web.json_response({"jsonrpc": "2.0", "id": body["id"], "error": {"code": -32601, "message": "no"}})
        return self._answer(body, request.headers.get("mcp-session-id"))

    def _answer(self, body: dict[str, Any], session: str | None) -> web.Response:
        if session not in self.sessions:
            return web.Response(**self.forgets)
        if body["method"] == "tools/call":
            self.calls.append(body["params"]["name"])
            return web.json_response(_reply(body, self.result))
        return web.json_response(_reply(body, {"tools": self.tools}))


def _reply(body: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": body["id"], "result": result}


@asynccontextmanager
async def listening(server: OddServer) -> AsyncIterator[OddServer]:
    app = web.Application()
    app.router.add_route("*", "/mcp", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address = runner.addresses[0]
    server.url = f"http://127.0.0.1:{address[1]}/mcp"
    try:
        yield server
    finally:
        await runner.cleanup()
