"""A small MCP server to test with: `mcp_server.py DIARY` on its standard streams, `mcp_server.py DIARY PORT` over HTTP.

What its tools do to the world is a line in the diary. Over HTTP it prints its port when it listens; 0 is any.
"""

import asyncio
import base64
import os
import sys
from pathlib import Path

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.utilities.types import Image
from mcp_types import ToolAnnotations

READS = ToolAnnotations(read_only_hint=True)
DOT = base64.b64decode("R0lGODlhAQABAAAAACwAAAAAAQABAAAC")

diary = Path(sys.argv[1])
server = MCPServer("a small server", log_level="ERROR")


def wrote(line: str) -> None:
    with diary.open("a") as lines:
        lines.write(f"{line}\n")


@server.tool(annotations=READS)
def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


@server.tool(annotations=READS)
def environment() -> str:
    """The names of this process's environment variables."""
    return " ".join(sorted(os.environ))


@server.tool(annotations=READS)
def picture() -> list[str | Image]:
    """A picture with words below."""
    return ["Look:", Image(data=DOT, format="gif")]


@server.tool(annotations=READS)
def lookup(what: str) -> str:
    """Dies at its first call, and answers at the next."""
    wrote(f"looked for {what}")
    if diary.read_text().count("looked for") == 1:
        os._exit(1)
    return f"found {what}"


@server.tool(name="odd.name/of a tool", annotations=READS)
def odd() -> str:
    return "odd"


@server.tool()
def note(text: str, ctx: Context) -> str:
    """Write something down."""
    meta = ctx.request_context.meta or {}
    wrote(f"{text} ({dict(meta).get('convergio/tool_call_id')})")
    return "noted"


@server.tool()
def fail(why: str) -> str:
    """Say that it failed."""
    raise ToolError(why)


@server.tool()
def die(text: str) -> str:
    """Write something down, and be gone before anybody is told."""
    wrote(text)
    os._exit(1)


@server.tool()
async def wait(seconds: float) -> str:
    """Take a while."""
    await asyncio.sleep(seconds)
    wrote("waited")
    return "waited"


async def over_http(port: int) -> None:
    config = uvicorn.Config(server.streamable_http_app(), port=port, log_level="error", ws="none")
    http = uvicorn.Server(config)
    serving = asyncio.create_task(http.serve())
    while not http.started:  # noqa: ASYNC110  (uvicorn has no event for it)
        await asyncio.sleep(0.01)
    print(http.servers[0].sockets[0].getsockname()[1], flush=True)  # noqa: T201  (that is how it is found)
    await serving


if __name__ == "__main__":
    if len(sys.argv) > 2:
        asyncio.run(over_http(int(sys.argv[2])))
    else:
        server.run()
