"""The test's side of the scripted provider: script it, read its bill."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from tests.scripted_model.bill import Entry

ROOT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 5


class ScriptedModel:
    """A running scripted provider. `url` is what `OPENAI_BASE_URL` takes: it ends in `/v1`."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        parts = urlsplit(self.url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80

    def bill(self) -> list[Entry]:
        """One entry for each request it worked on, in order; the fields stand in `bill.Entry`."""
        bill: list[Entry] = self._ask("GET", "/bill")
        return bill

    def requests(self) -> list[dict[str, Any]]:
        """The bodies of the last 200 chat requests, oldest first, each with its `request_id`."""
        requests: list[dict[str, Any]] = self._ask("GET", "/requests")
        return requests

    def script(
        self,
        *rules: dict[str, Any],
        **settings: Any,
    ) -> None:
        """Add rules: fields of `script.Behaviour`, with the conditions of `script.Rule` and `times` (1 if unset).

        Settings: `default`, the behaviour where no rule takes a request; `out_of_quota_after` so many requests;
        `no_tools` and `no_shapes` refuse requests with such; `props` is what llama.cpp would say at `/props`.
        """
        self._ask("POST", "/script", {"rules": rules, **settings})

    def reset(self) -> None:
        """Forget the script, the bill and the requests."""
        for path in ("/script", "/bill", "/requests"):
            self._ask("DELETE", path)

    async def until(self, holds: Callable[[list[Entry]], bool], *, seconds: float = 10) -> list[Entry]:
        """The bill as soon as `holds(bill)`; TimeoutError after `seconds`."""
        end = time.monotonic() + seconds
        while not holds(bill := self.bill()):
            if time.monotonic() > end:
                raise TimeoutError(f"the bill never came to hold what was waited for: {bill[-5:]}")
            await asyncio.sleep(0.02)
        return bill

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        connection = HTTPConnection(self.host, self.port, timeout=10)
        try:
            connection.request(method, path, None if body is None else orjson.dumps(body))
            response = connection.getresponse()
            answer = orjson.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(f"{method} {path}: {response.status} {answer}")
        return answer


@contextmanager
def start_scripted_model(
    *, port: int = 0, bill: Path | None = None, key: str | None = None, models: tuple[str, ...] = ("scripted",)
) -> Iterator[ScriptedModel]:
    """A provider in a process of its own, which ends with the block, or with this process however it ends."""
    command = [sys.executable, "-m", "tests.scripted_model", "--with-stdin", "--port", str(port)]
    command += [f"--model={name}" for name in models]
    command += [f"--bill={bill}"] if bill else []
    command += [f"--key={key}"] if key else []
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            line = process.stdout.readline() if process.stdout else b""
            if not line:
                raise RuntimeError(f"the scripted model did not start: exit code {process.wait(STOP_SECONDS)}")
            yield ScriptedModel(orjson.loads(line)["url"])
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)
