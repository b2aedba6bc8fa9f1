"""`convergio up`: every part of the system in one terminal, each a process of its own."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Coroutine, Iterable, Mapping
from itertools import filterfalse
from pathlib import Path
from typing import Any

import structlog

from adapters.web.guarded_proxy import GuardedProxy
from runtime.data_directory import DataDirectory, forget_restored, is_restored, lock_directory
from runtime.embedded import ModelServer, Server, StartFailed, TemporalServer
from runtime.settings import Settings
from runtime.steady_output import NonBlockingStream
from runtime.supervisor.backups import keep_backing_up
from runtime.supervisor.child import SupervisedProcess
from runtime.supervisor.plan import ProcessPlan, make_plan
from runtime.supervisor.relay import LogRelay
from runtime.supervisor.script import part_command
from runtime.welcome import welcome

_SIGNING = frozenset({"worker", "api"})
_STOP_WITHIN_S = {"api": 35.0, "worker": 65.0, "projections": 10.0}  # the first two finish running work
_SERVER_STOP_WITHIN_S = {"postgres": 30.0}  # it writes a checkpoint; the others lose nothing when they are killed
_OTHERS_STOP_WITHIN_S = 10.0
_DELIBERATE_S = 1.0  # a second signal sooner than this is the same keystroke, passed on by a parent
_LOG_BYTES = 20_000_000
_FIRST_ATTEMPTS = 4  # PostgreSQL may have to wait for the last children of a killed one


def up(settings: Settings, *, llm: bool) -> int:
    """Run everything until SIGINT or SIGTERM, and return the exit code: 0 after a stop, 1 if something did not start.

    Raises:
        AlreadyRunning: another supervisor has the data directory.
        StartFailed: the API's port is taken.
    """
    os.umask(0o077)  # files of this process and its children are private
    with lock_directory(settings.data_dir.absolute()) as held:
        plan = make_plan(settings, llm=llm)
        return asyncio.run(Supervisor(plan, held, settings).run())


class Supervisor:
    """Starts the servers, migrates, starts the parts, and keeps all of them running until it has to stop."""

    def __init__(self, plan: ProcessPlan, held: DataDirectory, settings: Settings) -> None:
        self._plan = plan
        self._held = held
        self._settings = settings
        self._relay = LogRelay()
        self._log = structlog.get_logger()
        self._logs = held.directory / "logs"
        self._children: list[SupervisedProcess] = []
        self._guard: GuardedProxy | None = None
        self._keepers: list[asyncio.Task[None]] = []
        self._stop_asked: float | None = None
        self._stop = asyncio.Event()
        self._force = asyncio.Event()

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                loop.add_signal_handler(number, self._on_signal, number)
        try:
            started = await self._run_unless_stopped(self._start())
            if started:
                await self._stop.wait()
        except StartFailed as failure:
            self._log.error("cannot start", reason=str(failure))
            return 1
        finally:
            await self._shut_down()
        return 0

    def _on_signal(self, number: int) -> None:
        now = asyncio.get_running_loop().time()
        if self._stop_asked is None:
            self._stop_asked = now
            self._log.info("stopping; once more to stop at once", signal=signal.Signals(number).name)
            self._stop.set()
        elif now - self._stop_asked > _DELIBERATE_S:
            self._force.set()

    async def _run_unless_stopped(self, work: Coroutine[Any, Any, None]) -> bool:
        """Run `work`; return True if it was done before a stop was requested. Otherwise it is cancelled."""
        task, stop = asyncio.create_task(work), asyncio.create_task(self._stop.wait())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if task.done():
            task.result()
            return True
        task.cancel()
        await asyncio.wait({task})
        return False

    async def _start(self) -> None:
        began = asyncio.get_running_loop().time()
        for what, (wanted, given) in self._plan.moved.items():
            self._log.warning("port taken, using another", what=what, wanted=wanted, given=given)
        self._logs.mkdir(exist_ok=True)
        self._log.info("starting", servers=[server.name for server in self._plan.servers], logs=str(self._logs))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._start_in_order())
                group.create_task(self._bring_up(filter(_is_slow, self._plan.servers), to_files=True))
        except ExceptionGroup as failures:
            raise _first(failures) from None
        took_s = asyncio.get_running_loop().time() - began
        NonBlockingStream(sys.stdout).write(welcome(self._plan, self._settings, took_s))

    async def _start_in_order(self) -> None:
        await self._bring_up(filterfalse(_is_slow, self._plan.servers), to_files=True)
        await self._guard_web_ui()
        self._held.announce(self._plan.api.url, self._plan.environment())
        await self._run_step("migrate")
        await self._reconcile_restored()
        await self._bring_up([*self._plan.parts, self._plan.api], to_files=False)
        backups = asyncio.create_task(keep_backing_up(self._settings, self._run_command))
        backups.add_done_callback(self._on_keeper_end)
        self._keepers.append(backups)

    async def _guard_web_ui(self) -> None:
        for server in self._plan.servers:
            if isinstance(server, TemporalServer) and server.inner_ui_url and server.ui_port:
                self._guard = GuardedProxy(server.inner_ui_url)
                await self._guard.start(server.ui_port)

    async def _bring_up(self, servers: Iterable[Server], *, to_files: bool) -> None:
        """Start these in parallel, and keep each running from the moment it is ready."""
        children = [self._child(server, to_file=to_files) for server in servers]
        self._children += children
        async with asyncio.TaskGroup() as group:
            for child in children:
                group.create_task(self._start_and_keep(child))

    async def _start_and_keep(self, child: SupervisedProcess) -> None:
        await child.start()
        keeper = asyncio.create_task(child.keep_running())
        keeper.add_done_callback(self._on_keeper_end)
        self._keepers.append(keeper)

    def _on_keeper_end(self, keeper: asyncio.Task[None]) -> None:
        """Stop everything when supervision fails: nothing runs unsupervised."""
        if not keeper.cancelled() and (error := keeper.exception()) is not None:
            self._log.critical("supervision failed, stopping", exc_info=error)
            self._stop.set()

    def _child(self, server: Server, *, to_file: bool) -> SupervisedProcess:
        log_file = self._logs / f"{server.name}.log" if to_file else None
        if log_file is not None:
            _rotate(log_file)
        return SupervisedProcess(
            server,
            environment={} if to_file else {**self._plan.environment(), **self._secrets(server)},
            born=self._held.record_child,
            show=self._relay,
            log_file=log_file,
            first_attempts=_FIRST_ATTEMPTS if to_file else 1,
        )

    def _secrets(self, server: Server) -> Mapping[str, str]:
        """Return the secrets of a part: those that sign have them, and no other."""
        return self._plan.secrets if server.name in _SIGNING else {}

    async def _reconcile_restored(self) -> None:
        """Settle a restored system, before anything can run on stores that go on from an older moment."""
        if is_restored(self._held.directory):
            await self._run_step("reconcile", **self._plan.secrets)
            forget_restored(self._held.directory)

    async def _run_step(self, *words: str, **secrets: str) -> None:
        """Run a command of ours to its end, before the parts are started."""
        if not await self._run_command(*words, **secrets):
            raise StartFailed(f"convergio {words[0]} failed")

    async def _run_command(self, *words: str, **secrets: str) -> bool:
        """Run a command of ours to its end, and relay its output. Returns True if it succeeded."""
        command = part_command(*words)
        process = await asyncio.create_subprocess_exec(
            *command.tethered_argv(),
            env={**command.full_environment(), **self._plan.environment(), **secrets},
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,
        )
        output, _ = await process.communicate()
        for line in output.splitlines():
            self._relay(words[0], line)
        return process.returncode == 0

    async def _shut_down(self) -> None:
        """Stop the API first, then the worker, the projections, and the servers together."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        forced = asyncio.create_task(self._kill_when_forced())
        by_name = {child.name: child for child in self._children}
        for name, seconds in _STOP_WITHIN_S.items():
            if name in by_name:
                await by_name.pop(name).stop(seconds)
        await asyncio.gather(
            *(child.stop(_SERVER_STOP_WITHIN_S.get(name, _OTHERS_STOP_WITHIN_S)) for name, child in by_name.items())
        )
        forced.cancel()
        if self._guard is not None:
            await self._guard.close()
        self._log.info("stopped")

    async def _kill_when_forced(self) -> None:
        await self._force.wait()
        self._log.warning("stopping at once")
        for child in self._children:
            child.kill()


def _is_slow(server: Server) -> bool:
    """Return True for the model: it loads for seconds, and no other part needs it to start."""
    return isinstance(server, ModelServer)


def _first(failures: ExceptionGroup[Exception]) -> Exception:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
