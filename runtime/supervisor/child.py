"""One supervised process: started until it is ready, restarted when it dies, stopped on request."""

import asyncio
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import structlog

from runtime.embedded.server import START_TIMEOUT_S, Server, StartFailed, last_lines
from runtime.supervisor.process import ProcessIdentity
from runtime.supervisor.relay import Show

_LONGEST_LINE = 1 << 20
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 10.0
_HEALTHY_AFTER_S = 60.0
_POLL_S = 0.05
_BY_OTHERS = {signal.SIGKILL, signal.SIGTERM}
"""Signals that do not indicate a fault of the process they end."""


class SupervisedProcess:
    """Runs `server` with `environment` added. Its output goes to `log_file`, or line by line to `show`."""

    def __init__(
        self,
        server: Server,
        *,
        environment: Mapping[str, str],
        born: Callable[[str, ProcessIdentity | None], None],
        show: Show,
        log_file: Path | None = None,
        first_attempts: int = 1,
    ) -> None:
        self.name = server.name
        self._server = server
        self._environment = environment
        self._born = born
        self._show = show
        self._log_file = log_file
        self._first_attempts = first_attempts
        self._process: Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._log = structlog.get_logger().bind(part=self.name)

    async def start(self) -> None:
        """Return when it is ready.

        Raises:
            StartFailed: it ended, or was not ready in time, in all first attempts.
        """
        for attempt in range(1, self._first_attempts + 1):
            try:
                await self._start_once()
            except StartFailed:
                if attempt == self._first_attempts:
                    raise
                await asyncio.sleep(_FIRST_PAUSE_S * 2**attempt)
            else:
                return

    async def keep_running(self) -> None:
        """Restart it whenever it ends, for ever; with growing pauses if it fails by itself within a minute."""
        clock = asyncio.get_running_loop().time
        pause, was_ready = _FIRST_PAUSE_S, True
        while self._process is not None:
            since = clock()
            code = await self._process.wait()
            if clock() - since >= _HEALTHY_AFTER_S or (was_ready and -code in _BY_OTHERS):
                pause = _FIRST_PAUSE_S
            self._log.warning("ended, starting it again", code=code, in_s=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)
            try:
                await self._start_once()
                was_ready = True
            except (StartFailed, OSError) as failure:
                was_ready = False
                self._log.error("did not start", reason=str(failure))

    async def stop(self, timeout_s: float) -> None:
        """Signal it to end, and kill it after `timeout_s` seconds."""
        if self._process is None or self._process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(self._server.stop_signal)
        try:
            await asyncio.wait_for(self._process.wait(), timeout_s)
        except TimeoutError:
            self._log.warning("did not stop, killed", after_s=timeout_s)
            self.kill()
        await self._process.wait()
        if self._reader is not None:
            await self._reader

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def _start_once(self) -> None:
        started = asyncio.get_running_loop().time()
        await asyncio.to_thread(self._server.prepare)
        process = await self._spawn()
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._until_ready(process)
        except TimeoutError:
            self.kill()
            await process.wait()
            raise StartFailed(f"{self.name} was not ready after {START_TIMEOUT_S:.0f} s: {self._last()}") from None
        took = asyncio.get_running_loop().time() - started
        self._log.info("ready", pid=process.pid, took_s=round(took, 2), **self._server.display_urls)

    async def _spawn(self) -> Process:
        command = self._server.command()
        output = self._log_file.open("ab") if self._log_file else None
        try:
            # In the main thread: the child is tied to the thread that starts it.
            self._process = await asyncio.create_subprocess_exec(
                *command.tethered_argv(),
                env={**command.full_environment(), **self._environment},
                stdin=DEVNULL,
                stdout=output or PIPE,
                stderr=STDOUT,
                # Ctrl-C in the terminal must not reach the children: the supervisor stops them in order
                start_new_session=True,
                limit=_LONGEST_LINE,
            )
        finally:
            if output:
                output.close()
        self._born(self.name, ProcessIdentity.of(self._process.pid, Path(command.argv[0]).name))
        if self._process.stdout is not None:
            self._reader = asyncio.create_task(self._relay(self._process.stdout))
        return self._process

    async def _until_ready(self, process: Process) -> None:
        while not await asyncio.to_thread(self._server.is_ready, process.pid):
            if process.returncode is not None:
                raise StartFailed(f"{self.name} ended with code {process.returncode}: {self._last()}")
            await asyncio.sleep(_POLL_S)

    async def _relay(self, output: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await output.readline()
            except ValueError:  # longer than any line of ours
                continue
            if not line:
                return
            self._show(self.name, line.rstrip(b"\n"))

    def _last(self) -> str:
        return "see its lines above" if self._log_file is None else f"\n{last_lines(self._log_file)}"
