"""The processes and ports of one `convergio up`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from adapters.gguf import UnusableFile, read_model_file
from adapters.local_model import MODEL_NAME
from runtime.data_directory import signing_secret
from runtime.embedded import ModelServer, Ports, PostgresServer, Server, StartFailed, TemporalServer, ValkeyServer
from runtime.settings import Settings
from runtime.supervisor.own_processes import ApiProcess, BackgroundProcess

POSTGRES_PORT, TEMPORAL_PORT, TEMPORAL_UI_PORT, VALKEY_PORT, MODEL_PORT = 54320, 7233, 8233, 63790, 8081


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """`servers` are embedded, `elsewhere` named by the environment, and `moved` on other ports than the default.

    `secrets` are the variables of worker and API that are neither displayed nor recorded.
    """

    servers: tuple[Server, ...]
    elsewhere: Mapping[str, str]
    parts: tuple[BackgroundProcess, ...]
    api: ApiProcess
    directory: Path
    ports: Ports
    named: Mapping[str, str]
    moved: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def environment(self) -> dict[str, str]:
        """Return the variables of all servers, and the API's address. Known once the servers are prepared."""
        told = {"CONVERGIO_DATA_DIR": str(self.directory), **self.named, **self.api.environment}
        for server in self.servers:
            told |= server.environment
        return told

    def display_urls(self) -> dict[str, str]:
        """Return labels and URLs to show to people, the API first."""
        found = dict(self.api.display_urls)
        for server in self.servers:
            found |= server.display_urls
        return {**found, **self.elsewhere}


def make_plan(settings: Settings, *, llm: bool) -> ProcessPlan:
    """Choose servers and ports.

    Raises:
        StartFailed: the port that was asked for the API is taken, or the local model's file cannot be used.
    """
    chosen = _PortAllocation()
    directory = settings.data_dir.absolute()
    servers, elsewhere = _servers(settings, directory, chosen, llm=llm)
    return ProcessPlan(
        servers=tuple(servers),
        elsewhere=elsewhere,
        parts=tuple(BackgroundProcess(name, directory / "run" / name) for name in ("worker", "projections")),
        api=ApiProcess(settings.host, _api_port(settings, chosen)),
        directory=directory,
        ports=chosen.ports,
        named=_named_by_environment(settings),
        secrets=_secrets(settings, directory),
        moved=chosen.moved,
    )


def _named_by_environment(settings: Settings) -> dict[str, str]:
    names = {
        "DATABASE_URL": settings.database_url,
        "TEMPORAL_ADDRESS": settings.temporal_address,
        "TEMPORAL_UI_URL": settings.temporal_ui_url,
        "REDIS_URL": settings.redis_url,
        "OPENAI_BASE_URL": settings.openai_base_url,
    }
    return {name: value for name, value in names.items() if value is not None}


def _secrets(settings: Settings, directory: Path) -> dict[str, str]:
    """Return the signing secret of an embedded database. One elsewhere may serve several machines: it is set there."""
    if settings.signing_key is not None or settings.database_url is not None:
        return {}
    return {"CONVERGIO_SIGNING_KEY": signing_secret(directory)}


class _PortAllocation:
    """Allocated ports, with a note of those that had to move."""

    def __init__(self) -> None:
        self.ports = Ports()
        self.moved: dict[str, tuple[int, int]] = {}

    def port(self, what: str, preferred: int, host: str = "127.0.0.1") -> int:
        port = self.ports.pick(preferred, host)
        if preferred and port != preferred:
            self.moved[what] = (preferred, port)
        return port


def _servers(
    settings: Settings, directory: Path, chosen: _PortAllocation, *, llm: bool
) -> tuple[list[Server], dict[str, str]]:
    servers: list[Server] = []
    elsewhere: dict[str, str] = {}
    if settings.database_url is None:
        servers.append(PostgresServer(directory / "postgres", chosen.port("PostgreSQL", POSTGRES_PORT)))
    if settings.temporal_address is None:
        servers.append(_temporal(directory, chosen))
    else:
        elsewhere["Temporal"] = settings.temporal_address
        elsewhere |= {"Temporal Web UI": settings.temporal_ui_url} if settings.temporal_ui_url else {}
    if settings.redis_url is None:
        servers.append(ValkeyServer(directory / "valkey", chosen.port("Valkey", VALKEY_PORT)))
    if settings.openai_base_url is not None:
        elsewhere["Model"] = settings.openai_base_url
    elif settings.providers_file is not None:
        elsewhere |= {f"Model ({each.name})": each.base_url for each in settings.providers_file.providers}
    elif settings.openai_api_key is None and llm:
        servers.append(_model(settings, chosen))
    return servers, elsewhere


def _model(settings: Settings, chosen: _PortAllocation) -> ModelServer:
    port = chosen.port("Model", MODEL_PORT)
    if settings.local_model is None:
        return ModelServer(port, settings.model or MODEL_NAME)
    try:
        file = read_model_file(settings.local_model)
    except UnusableFile as error:
        raise StartFailed(f"CONVERGIO_LOCAL_MODEL: {error}") from error
    takes_tools = file.takes_tools if settings.model_tools == "auto" else None
    return ModelServer(port, settings.model or file.name, takes_tools=takes_tools)


def _temporal(directory: Path, chosen: _PortAllocation) -> TemporalServer:
    return TemporalServer(
        directory / "temporal",
        port=chosen.port("Temporal", TEMPORAL_PORT),
        http_port=chosen.port("Temporal HTTP", 0),
        ui_port=chosen.port("Temporal Web UI", TEMPORAL_UI_PORT),
    )


def _api_port(settings: Settings, chosen: _PortAllocation) -> int:
    if "port" not in settings.model_fields_set or settings.port == 0:
        return chosen.port("API", settings.port, settings.host)
    if not chosen.ports.take(settings.port, settings.host):
        raise StartFailed(f"port {settings.port} of {settings.host}, requested for the API, is taken")
    return settings.port
