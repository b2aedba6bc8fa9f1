"""Real servers for every test that asks: PostgreSQL, Temporal, Valkey and a scripted model."""

import faulthandler
import os
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings
from psycopg.sql import SQL, Identifier
from redis import Redis

from adapters.postgres.migrate import migrate
from runtime.settings import Settings
from tests.fuzz_seed import SEED
from tests.scripted_model import ScriptedModel, start_scripted_model
from tests.servers import VALKEY_DATABASES, Joined, join
from tests.system import ADMIN_KEY, System, new_namespace, running, settings_of

_TEMPLATE = "migrated"
_TEMPLATE_LOCK = 7350001
_GRACE_S = 60.0
"""Time that a test has to clean up after its limit has ended it."""
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


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test that its limit cannot end, because a thread of it never returns, ends its process, and with it the run.

    The limit is an exception in the main thread. It reaches neither a thread that a teardown waits for nor a call into
    Rust, and it comes once.
    """
    if item.get_closest_marker("prove"):
        return (yield)
    watch = Timer(float(item.config.getini("timeout")) + _GRACE_S, _give_up, [item])
    watch.daemon = True
    watch.start()
    try:
        return (yield)
    finally:
        watch.cancel()


def _give_up(item: pytest.Item) -> None:
    stderr = item.config.stash[_STDERR]
    os.write(stderr, f"\n{item.nodeid} did not end\n".encode())
    faulthandler.dump_traceback(stderr)
    os._exit(1)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Name a failure when it happens: a run that is stopped from outside prints no summary."""
    if report.failed and not os.environ.get("PYTEST_XDIST_WORKER"):
        print(f"\n{report.when} of {report.nodeid} failed:\n{report.longreprtext[-2000:]}", flush=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: those that fuzz the API run side by side, and none of them is left for the end."""
    items.sort(key=lambda item: "/contracts/" not in item.path.as_posix())
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
def migrated_template(postgres_server: str) -> str:
    """Name of a migrated database to copy, made once a run."""
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_TEMPLATE_LOCK,))
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (_TEMPLATE,)).fetchone():
            connection.execute("CREATE DATABASE half_migrated")
            migrate(_on(postgres_server, "half_migrated"))
            connection.execute(SQL("ALTER DATABASE half_migrated RENAME TO {}").format(Identifier(_TEMPLATE)))
    return _TEMPLATE


@pytest.fixture
def database_url(postgres_server: str, migrated_template: str) -> Iterator[str]:
    """A migrated, empty database of the test's own."""
    with _database(postgres_server, migrated_template) as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(postgres_server: str, migrated_template: str) -> Iterator[str]:
    """A migrated database that the tests of one module share."""
    with _database(postgres_server, migrated_template) as url:
        yield url


@pytest.fixture
def empty_database_url(postgres_server: str) -> Iterator[str]:
    """A database without any table."""
    with _database(postgres_server, "template1") as url:
        yield url


@contextmanager
def _joined(kind: str, run: Path) -> Iterator[Joined]:
    server = join(kind, run)
    try:
        yield server
    finally:
        server.leave()


@contextmanager
def _database(server: str, template: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template)))
    try:
        yield _on(server, name)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def _on(server: str, database: str) -> str:
    before, _, options = server.partition("?")
    return f"{before.rpartition('/')[0]}/{database}?{options}"


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
