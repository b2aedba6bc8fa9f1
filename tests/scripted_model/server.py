"""The provider's HTTP, and the test's own side: `/bill /script /requests`."""

import asyncio
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from tests.scripted_model.answer import Answer, answer, tokens_in
from tests.scripted_model.asked import Asked
from tests.scripted_model.bill import Bill, Entry
from tests.scripted_model.embedding import embedding
from tests.scripted_model.script import Behaviour, Script

KEPT_REQUESTS = 200
OK = 200
MAX_BODY_BYTES = 64 * 2**20
REFUSALS = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}


class ClosedByScriptError(ConnectionError):
    """The script cut the connection; the server has nothing more to send."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request while it is worked on."""

    request: web.BaseRequest
    behaviour: Behaviour
    entry: Entry
    answer: Answer
    with_usage: bool


class Provider:
    """All state of one scripted provider. `key`, if set, is the only API key it takes."""

    def __init__(self, *, bill: Path | None = None, key: str | None = None, models: tuple[str, ...] = ()) -> None:
        self.bill = Bill(bill)
        self.script = Script()
        self.requests: deque[tuple[str | None, bytes]] = deque(maxlen=KEPT_REQUESTS)
        self.key = key
        self.models = models or ("scripted",)
        self.served = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if path == "/v1/chat/completions" and request.method == "POST":
            return await self.chat(request)
        if path == "/v1/embeddings" and request.method == "POST":
            return await self.embed(request)
        if path == "/v1/models":
            listed = [{"id": name, "object": "model", "owned_by": "tests"} for name in self.models]
            return self._refused_key(request) or as_json({"object": "list", "data": listed})
        if path == "/props" and self.script.props is not None:
            return as_json(self.script.props)
        if path in ("/bill", "/script", "/requests", "/health"):
            return await self.control(path, request)
        return as_json({"error": {"message": f"no such path {path}"}}, status=404)

    async def control(self, path: str, request: web.BaseRequest) -> web.Response:
        if request.method == "DELETE":
            {"/bill": self.bill.clear, "/script": self.forget, "/requests": self.requests.clear}[path]()
        elif path == "/script":
            try:
                self.script.load(orjson.loads(await request.read()))
            except TypeError as fault:
                return as_json({"error": str(fault)}, status=400)
        elif path == "/bill":
            return as_json(self.bill.entries)
        elif path == "/requests":
            return as_json([{"request_id": name, **orjson.loads(body)} for name, body in self.requests])
        return as_json({"status": "ok"})

    def forget(self) -> None:
        self.script = Script()
        self.served = 0

    def _refused_key(self, request: web.BaseRequest) -> web.Response | None:
        if self.key is None or request.headers.get("Authorization") == f"Bearer {self.key}":
            return None
        return refusal(Behaviour(status=401))

    async def embed(self, request: web.BaseRequest) -> web.StreamResponse:
        """Vectors that only depend on the words of a text: texts with the same words are near each other."""
        raw = await request.read()
        if (refused := self._refused_key(request)) is not None:
            return refused
        name = request.headers.get("X-Client-Request-Id")
        self.requests.append((name, raw))
        body = orjson.loads(raw)
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        tokens = sum(tokens_in(text) for text in texts)
        entry = self.bill.start(
            request_id=name, model=body["model"], prompt_tokens=tokens, tools=[], shape=None, calls=[]
        )
        if self.script.embedding_status != OK:
            entry["prompt_tokens"] = 0
            self.bill.end(entry, "refused")
            return refusal(Behaviour(status=self.script.embedding_status))
        self.bill.end(entry, "finished")
        data = [
            {"object": "embedding", "index": number, "embedding": embedding(text)} for number, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return as_json({"object": "list", "model": body["model"], "data": data, "usage": usage})

    async def chat(self, request: web.BaseRequest) -> web.StreamResponse:
        raw = await request.read()
        if (refused := self._refused_key(request)) is not None:
            return refused
        name = request.headers.get("X-Client-Request-Id")
        self.requests.append((name, raw))
        self.served += 1
        asked = Asked(self.served, orjson.loads(raw))
        call = self._call(request, asked, name)
        try:
            response = await self._work(call, stream=bool(asked.body.get("stream")))
        except asyncio.CancelledError:
            self.bill.end(call.entry, "client_gone")
            raise
        if call.entry["state"] == "started":
            self.bill.end(call.entry, "finished")
        return response

    def _call(self, request: web.BaseRequest, asked: Asked, name: str | None) -> Call:
        behaviour, last = self.script.choose(asked)
        told = answer(behaviour, asked, last, number=self.bill.next)
        entry = self.bill.start(
            request_id=name,
            model=asked.model,
            prompt_tokens=told.prompt_tokens,
            tools=asked.tools,
            shape=asked.shape,
            calls=[call.name for call in told.calls],
        )
        body = asked.body
        counted = not body.get("stream") or bool((body.get("stream_options") or {}).get("include_usage"))
        return Call(request, behaviour, entry, told, with_usage=counted and not behaviour.no_usage)

    async def _work(self, call: Call, *, stream: bool) -> web.StreamResponse:
        behaviour = call.behaviour
        if behaviour.delay_s:
            await asyncio.sleep(behaviour.delay_s)
        if behaviour.hang:
            await asyncio.Event().wait()
        if behaviour.status != OK:
            call.entry["prompt_tokens"] = 0
            self.bill.end(call.entry, "refused")
            return refusal(behaviour)
        if behaviour.raw is not None:
            return web.Response(body=behaviour.raw.encode(), headers=behaviour.headers)
        if behaviour.garbage == "page":
            page = "<html><body>Bad gateway, but politely</body></html>"
            return web.Response(text=page, content_type="text/html")
        if not stream:
            call.entry["completion_tokens"] = call.answer.completion_tokens
            return web.Response(
                body=call.answer.whole(with_usage=call.with_usage),
                content_type="application/json",
                headers=behaviour.headers,
            )
        if behaviour.at_once:
            return at_once(call)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **behaviour.headers})
        await response.prepare(call.request)
        try:
            await piece_by_piece(call, response)
        except ConnectionError as gone:
            self.bill.end(call.entry, "cut" if isinstance(gone, ClosedByScriptError) else "client_gone")
        return response


def at_once(call: Call) -> web.Response:
    """The whole stream in one write: the cheapest way where the script asks for no timing."""
    call.entry["completion_tokens"] = call.answer.completion_tokens
    end = call.answer.end(with_finish=not call.behaviour.no_finish, with_usage=call.with_usage)
    body = b"".join((*(chunk for _, chunk in call.answer.deltas()), end))
    if call.behaviour.crlf:
        body = with_crlf(body)
    return web.Response(body=body, content_type="text/event-stream", headers=call.behaviour.headers)


async def piece_by_piece(call: Call, response: web.StreamResponse) -> None:
    behaviour, told = call.behaviour, call.answer
    await asyncio.sleep(behaviour.first_token_delay_s)
    deltas = list(told.deltas())
    for number, (piece, chunk) in enumerate(deltas):
        if number and behaviour.inter_chunk_delay_s:
            await asyncio.sleep(behaviour.inter_chunk_delay_s)
        await break_off(call, after=number)
        await write(response, chunk, behaviour)
        call.entry["completion_tokens"] += tokens_in(piece)
        if number == 0:
            await disturb(response, behaviour)
    await break_off(call, after=len(deltas))
    call.entry["completion_tokens"] = told.completion_tokens
    if behaviour.hang_after_finish:
        await write(response, told.end(with_finish=True, with_usage=False, with_done=False), behaviour)
        await asyncio.Event().wait()
    end = told.end(with_finish=not behaviour.no_finish, with_usage=call.with_usage)
    await write(response, end, behaviour)


async def break_off(call: Call, *, after: int) -> None:
    if call.behaviour.hang_after_chunks == after:
        await asyncio.Event().wait()
    if call.behaviour.cut_after_chunks == after:
        if call.request.transport is not None:
            call.request.transport.close()
        raise ClosedByScriptError


async def disturb(response: web.StreamResponse, behaviour: Behaviour) -> None:
    if behaviour.garbage == "chunk":
        await response.write(b"data: {this is no json\n\n")
    if behaviour.error_in_stream is not None:
        await response.write(b"data: %b\n\n" % orjson.dumps({"error": behaviour.error_in_stream}))


async def write(response: web.StreamResponse, chunk: bytes, behaviour: Behaviour) -> None:
    if behaviour.crlf:
        chunk = with_crlf(chunk)
    size = behaviour.split_bytes or len(chunk)
    for at in range(0, len(chunk), size):
        await response.write(chunk[at : at + size])
        if behaviour.split_bytes:
            await asyncio.sleep(0)


def with_crlf(chunk: bytes) -> bytes:
    return chunk.replace(b"\n\n", b"\r\n: a comment\r\n\r\n")


def refusal(behaviour: Behaviour) -> web.Response:
    if isinstance(behaviour.error, str):
        return web.Response(status=behaviour.status, text=behaviour.error, headers=behaviour.headers)
    kind, code = REFUSALS.get(behaviour.status, ("server_error", None))
    error = behaviour.error or {"message": f"scripted {behaviour.status}", "type": kind, "code": code}
    return as_json({"error": error}, status=behaviour.status, headers=behaviour.headers)


def as_json(body: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json", headers=headers)


async def serve(provider: Provider, *, host: str, port: int) -> web.ServerRunner:
    """Listen and return; `await runner.cleanup()` ends it. The port is `runner.addresses[0][1]`."""
    server = web.Server(provider.handle, handler_cancellation=True, max_line_size=65536)
    runner = web.ServerRunner(server, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, host, port, reuse_address=True, backlog=512).start()
    return runner
