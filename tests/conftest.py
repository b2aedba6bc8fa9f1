"""Real servers for every test that asks: PostgreSQL, Temporal, Valkey and a scripted model."""

import faulthandler
import gc
import os
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from uuid import uuid4

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings
from redis import Redis

from runtime.settings import Settings
from tests.databases import Template, Templates
from tests.fuzz_seed import SEED
from tests.scripted_model import ScriptedModel, start_scripted_model
from tests.servers import VALKEY_DATABASES, Joined, join
from tests.system import ADMIN_KEY, System, new_namespace, running, settings_of

_GRACE_S = 60.0
"""Time that a test has to clean up after its limit has ended it."""
_LONG = ("test_up.py", "test_frozen_temporal.py", "test_outages.py")
_STDERR = pytest.StashKey[int]()

_OUTSIDE = ("CONVERGIO_", "DATABASE_URL", "OPENAI_", "OTEL_", "REDIS_URL", "TEMPORAL_", "WEAVIATE_")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Property tests have the day's seed unless a run names another, and are not judged by the clock."""
    settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("any machine")
    if config.getoption("--hypothesis-seed") is None:
        config.option.hypothesis_seed = SEED
    config.stash[_STDERR] = os.dup(2)  # before pytest captures it
    gc.disable()  # until all is imported: nothing of it is garbage


def pytest_collection_finish() -> None:
    """Spare the garbage collector what lives to the end: its walks through it took a fifth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    gc.enable()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test that its limit cannot end, because a thread of it never returns, ends its process, and with it the run.

    The limit is an exception in the main thread. It reaches neither a thread that a teardown waits for nor a call into
    Rust, and it comes once.
    """
    if item.get_closest_marker("prove"):
        return (yield)
    limit = float(item.config.getini("timeout")) + _GRACE_S
    watch = Timer(limit, _give_up, [item])
    watch.daemon = True
    watch.start()
    # this one needs no lock of the interpreter, which a thread in Rust may hold; a failure ends it
    faulthandler.dump_traceback_later(limit + _GRACE_S, exit=True, file=item.config.stash[_STDERR])
    try:
        return (yield)
    finally:
        watch.cancel()
        faulthandler.cancel_dump_traceback_later()


def _give_up(item: pytest.Item) -> None:
    stderr = item.config.stash[_STDERR]
    os.write(stderr, f"\n{item.nodeid} did not end\n".encode())
    faulthandler.dump_traceback(stderr)
    os._exit(1)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Name a failure when it happens: a run that is stopped from outside prints no summary."""
    if report.failed and not os.environ.get("PYTEST_XDIST_WORKER"):
        sys.stdout.write(f"\n{report.when} of {report.nodeid} failed:\n{report.longreprtext[-2000:]}\n")
        sys.stdout.flush()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that none of them is left for the end: those that fuzz the API, then those in `_LONG`."""
    items.sort(key=lambda item: (item.path.parent.name != "contracts", item.path.name not in _LONG))
    for item in items:
        if item.get_closest_marker("prove"):
            item.add_marker(pytest.mark.timeout(0))


@pytest.fixture(scope="session", autouse=True)
def _nothing_outside() -> None:
    """No setting of the shell that runs the tests reaches them, so no real provider or server does."""
    for name in [name for name in os.environ if name.startswith(_OUTSIDE)]:
        del os.environ[name]


@pytest.fixture(scope="session")
def run_directory(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """One directory for all processes of this test run."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


@pytest.fixture(scope="session")
def postgres_server(run_directory: Path) -> Iterator[str]:
    """URL of a PostgreSQL server, on its database that nobody migrates."""
    with _joined("postgres", run_directory) as server:
        yield server.environment["DATABASE_URL"]


@pytest.fixture(scope="session")
def temporal_address(run_directory: Path) -> Iterator[str]:
    """Address of a Temporal server with our search attributes. Shared: use workflow ids and task queues of your own."""
    with _joined("temporal", run_directory) as server:
        yield server.environment["TEMPORAL_ADDRESS"]


@pytest.fixture(scope="session")
def valkey_server(run_directory: Path) -> Iterator[str]:
    """URL of a Valkey server, on database 0, which belongs to nobody."""
    with _joined("valkey", run_directory) as server:
        yield server.environment["REDIS_URL"]


@pytest.fixture
def redis_url(valkey_server: str) -> str:
    """An empty Valkey database of the test's own."""
    with Redis.from_url(valkey_server) as client:
        number = int(client.incr("databases-given"))
    return f"{valkey_server.rpartition('/')[0]}/{1 + number % (VALKEY_DATABASES - 1)}"


@pytest.fixture(scope="session")
def model_process() -> Iterator[ScriptedModel]:
    """A scripted model provider, one for each test process."""
    with start_scripted_model() as model:
        yield model


@pytest.fixture
def scripted_model(model_process: ScriptedModel) -> ScriptedModel:
    """A model provider without a script, with nothing on its bill."""
    model_process.reset()
    return model_process


@pytest.fixture
def task_queue() -> str:
    """A task queue that no other test has."""
    return f"test-{uuid4().hex}"


@pytest.fixture(scope="session")
def templates(postgres_server: str) -> Templates:
    """The databases that the tests' own are copies of."""
    return Templates(postgres_server)


@pytest.fixture
def database_url(templates: Templates, request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated database of the test's own: empty, or what a started system's is like where one uses it."""
    with templates.copy(Template.SEEDED if "system_settings" in request.fixturenames else Template.MIGRATED) as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(templates: Templates, request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated database that the tests of one module share; seeded where a system uses it."""
    with templates.copy(Template.SEEDED if "shared_settings" in request.fixturenames else Template.MIGRATED) as url:
        yield url


@pytest.fixture
def empty_database_url(templates: Templates) -> Iterator[str]:
    """A database without any table."""
    with templates.copy(Template.EMPTY) as url:
        yield url


@contextmanager
def _joined(kind: str, run: Path) -> Iterator[Joined]:
    server = join(kind, run)
    try:
        yield server
    finally:
        server.leave()


@pytest.fixture
async def system_settings(
    database_url: str, temporal_address: str, redis_url: str, scripted_model: ScriptedModel
) -> Settings:
    """Settings of a system of the test's own, on the run's servers."""
    return settings_of(
        database_url=database_url,
        temporal_address=temporal_address,
        redis_url=redis_url,
        model_url=scripted_model.url,
        namespace=await new_namespace(temporal_address),
    )


@pytest.fixture
async def system(system_settings: Settings) -> AsyncIterator[System]:
    """The whole system in this process: API, worker and projections."""
    async with running(system_settings) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_settings(
    module_database_url: str, temporal_address: str, valkey_server: str, model_process: ScriptedModel
) -> Settings:
    """Settings of the system that the tests of a module share."""
    return settings_of(
        database_url=module_database_url,
        temporal_address=temporal_address,
        redis_url=valkey_server,
        model_url=model_process.url,
        namespace=await new_namespace(temporal_address),
        admin_key=ADMIN_KEY,
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(shared_settings: Settings) -> AsyncIterator[System]:
    """A whole system that the module's tests share. Ask for `scripted_model` as well: that empties its script."""
    async with running(shared_settings) as started:
        yield started
