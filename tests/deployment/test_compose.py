"""The many-machines deployment says what the code says: no Docker is needed to know."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from adapters.memory.idempotency import MemoryAnswers
from api.app import ApiParts, ApiSettings, create_app
from runtime.embedded.temporal import DYNAMIC_CONFIG
from runtime.processes.worker import GRACE
from runtime.settings import Settings
from runtime.wiring.parts import keys
from tests.deployment.compose import PARTS, SHELL, Refused, environment, filled, raw, services
from tests.servers import ROOT

SETTINGS = {str(field.validation_alias): name for name, field in Settings.model_fields.items()}

NOT_IN_CONTAINERS = {
    "CONVERGIO_BACKUP_DIR",
    "CONVERGIO_BACKUP_EVERY_H",
    "CONVERGIO_BACKUP_KEEP",
    "CONVERGIO_DATA_DIR",
    "CONVERGIO_LOCAL_MODEL",
}
"""Of embedded servers and of their supervisor, of which there are none."""

OF_THE_API = {
    "CONVERGIO_ADMIN_KEY",
    "CONVERGIO_ALLOWED_HOSTS",
    "CONVERGIO_AUTH",
    "CONVERGIO_CORS_ORIGINS",
    "CONVERGIO_HOST",
    "CONVERGIO_METRICS_KEY",
    "CONVERGIO_OIDC_ISSUERS",
    "CONVERGIO_PORT",
    "CONVERGIO_RATE_LIMIT",
}
"""Whom it listens to, which is no other part's business."""

FILES = {
    "CONVERGIO_MCP_SERVERS",
    "CONVERGIO_PRICES",
    "CONVERGIO_PROVIDERS",
    "CONVERGIO_RISK_POLICY",
    "TEMPORAL_TLS_CA",
    "TEMPORAL_TLS_CERT",
    "TEMPORAL_TLS_KEY",
}

_ONE_MACHINE = {"matching.numTaskqueueReadPartitions", "matching.numTaskqueueWritePartitions"}

_TELLING = """
import sys, types
def tell(settings, *rest):
    print(settings.model_dump_json())
for module in ("processes.api", "processes.worker", "processes.projections", "verbs.upkeep"):
    names = ("run_api", "run_worker", "run_projections", "run_migrations")
    sys.modules[f"runtime.{module}"] = types.SimpleNamespace(**dict.fromkeys(names, tell))
from runtime.cli import app
app(sys.argv[1:])
"""
"""`convergio` whose parts only tell the settings that they were started with."""


def started(part: str, shell: dict[str, str]) -> dict[str, Any]:
    """The settings that a part comes to have when Compose starts it."""
    done = subprocess.run(
        [sys.executable, "-c", _TELLING, *services(shell)[part]["command"]],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment(part, shell)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    settings: dict[str, Any] = json.loads(done.stdout)
    return settings


@pytest.mark.parametrize("part", PARTS)
def test_each_part_starts_with_the_variables_it_is_given(part: str) -> None:
    settings = started(part, SHELL)
    assert urlsplit(settings["database_url"]).hostname == "postgres"
    assert settings["temporal_address"] == "temporal:7233"
    assert urlsplit(settings["redis_url"]).hostname == "valkey"
    assert settings["openai_api_key"]
    assert settings["openai_base_url"] is None


def test_the_api_listens_beyond_loopback_only_with_keys_on() -> None:
    settings = started("api", SHELL)
    assert settings["host"] == "0.0.0.0"  # noqa: S104  (inside its container; published on loopback)
    assert settings["auth"] == "keys"
    assert settings["admin_key"]


def test_what_the_operator_sets_reaches_the_parts() -> None:
    shell = {**SHELL, "OPENAI_BASE_URL": "http://models/v1", "CONVERGIO_MODEL": "big", "CONVERGIO_ALLOWED_HOSTS": "a.b"}
    assert started("worker", shell)["model"] == "big"
    api = started("api", shell)
    assert (api["openai_base_url"], api["allowed_hosts"]) == ("http://models/v1", ["a.b", "api"])


def test_an_empty_variable_counts_as_none() -> None:
    assert started("worker", {**SHELL, "OPENAI_BASE_URL": "", "CONVERGIO_CONTEXT_WINDOW": ""})["context_window"] is None


@pytest.mark.parametrize("name", SHELL)
def test_a_variable_that_must_be_set_is_asked_for(name: str) -> None:
    with pytest.raises(Refused, match=name):
        services({key: value for key, value in SHELL.items() if key != name})
    assert f"{name}=" in (ROOT / "docker-compose.yml").read_text().partition("\nname:")[0]


@pytest.mark.parametrize("part", PARTS)
def test_every_variable_of_our_parts_is_a_setting(part: str) -> None:
    assert set(services()[part]["environment"]) <= set(SETTINGS)


def test_every_setting_can_be_given_through_compose() -> None:
    given = {name for part in PARTS for name in services()[part]["environment"]}
    assert set(SETTINGS) - given == NOT_IN_CONTAINERS


@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_handed_every_setting_but_what_is_the_apis_own(part: str) -> None:
    own = OF_THE_API if part == "api" else set()
    told_by_us = {"CONVERGIO_READY_FILE"} if part in {"worker", "projections"} else set()
    given = set(services()[part]["environment"])
    assert given == set(SETTINGS) - NOT_IN_CONTAINERS - OF_THE_API - {"CONVERGIO_READY_FILE"} | own | told_by_us


def test_files_that_settings_name_can_be_put_where_every_part_sees_them() -> None:
    paths = {name for name, field in SETTINGS.items() if Settings.model_fields[field].annotation == (Path | None)}
    assert paths - {"CONVERGIO_READY_FILE"} - NOT_IN_CONTAINERS == FILES
    mounts = {part: services()[part]["volumes"] for part in PARTS}
    assert len({str(mount) for mount in mounts.values()}) == 1
    source, place, mode = mounts["worker"][0].split(":")
    assert (source, place, mode) == ("./deploy/files", "/etc/convergio", "ro")
    assert (ROOT / source).is_dir()


def test_the_policy_of_approvals_reaches_whoever_goes_by_it(tmp_path: Path) -> None:
    own = tmp_path / "risk.json"
    own.write_text("{}")
    shell = {**SHELL, "CONVERGIO_RISK_POLICY": str(own)}
    assert {started(part, shell)["risk_policy"] for part in PARTS} == {str(own)}


def test_every_image_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name, service in services().items():
        image, _, tag = service["image"].rpartition(":")
        assert re.match(r"v?\d+\.\d+\.\d+", tag), f"{name}: {service['image']}"
        if name in PARTS:
            assert (image, tag, service["build"]) == (project["name"], project["version"], ".")


def test_the_servers_of_temporal_are_of_one_version() -> None:
    images = {name: services()[name]["image"] for name in ("temporal", "temporal-schema", "temporal-namespace")}
    assert len({image.rpartition(":")[2] for image in images.values()}) == 1


def test_every_port_is_published_on_loopback_only() -> None:
    published = [port for service in services().values() for port in service.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert len({port.split(":")[1] for port in published}) == len(published)


def test_every_address_names_a_service_and_a_port_it_listens_on() -> None:
    api = environment("api")
    postgres = environment("postgres")
    database = urlsplit(api["DATABASE_URL"])
    assert (database.username, database.password) == (postgres["POSTGRES_USER"], postgres["POSTGRES_PASSWORD"])
    assert database.path == f"/{postgres['POSTGRES_DB']}"
    assert services()["api"]["ports"] == [f"127.0.0.1:8000:{api['CONVERGIO_PORT']}"]
    temporal = environment("temporal")
    assert (temporal["POSTGRES_SEEDS"], temporal["POSTGRES_USER"]) == (database.hostname, database.username)
    assert {environment(name)["TEMPORAL_ADDRESS"] for name in ("temporal-ui", "temporal-namespace", *PARTS)} == {
        "temporal:7233"
    }
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in prometheus()["scrape_configs"]}
    assert jobs["convergio"] == [f"api:{api['CONVERGIO_PORT']}"]
    assert jobs["temporal"] == [f"temporal:{temporal['PROMETHEUS_ENDPOINT'].rpartition(':')[2]}"]


def test_servers_that_ask_nobody_for_a_key_are_not_published() -> None:
    assert environment("temporal")["TEMPORAL_ALLOW_NO_AUTH"] == "true"
    assert all("ports" not in services()[name] for name in ("temporal", "postgres", "valkey"))


def test_the_namespace_that_is_made_is_the_one_that_is_used() -> None:
    command = services()["temporal-namespace"]["command"][0]
    assert f"create -n {environment('migrate')['TEMPORAL_NAMESPACE']}" in command


def test_every_part_waits_for_what_it_needs() -> None:
    for name, service in services().items():
        needs = service.get("depends_on", {})
        for needed, wait in needs.items() if isinstance(needs, dict) else ():
            other = services()[needed]
            if wait["condition"] == "service_healthy":
                assert other["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}, f"{name} waits for {needed}"
            else:
                assert wait["condition"] == "service_completed_successfully"
                assert other["restart"].startswith("on-failure"), f"{name} waits for {needed} to end"
    assert all("migrate" in services()[part]["depends_on"] for part in PARTS if part != "migrate")


def test_what_goes_on_running_is_started_again() -> None:
    once = {"migrate", "temporal-schema", "temporal-namespace"}
    assert {name for name, service in services().items() if service["restart"] != "unless-stopped"} == once


def test_every_file_and_volume_that_is_mounted_exists() -> None:
    for service in services().values():
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in raw()["volumes"]


def test_compose_waits_longer_for_a_part_to_stop_than_the_part_does() -> None:
    assert services()["worker"]["stop_grace_period"] == "75s"
    assert GRACE.total_seconds() < 75
    assert services()["api"]["stop_grace_period"] == "40s"
    assert re.search(r"^_GRACE_S = 30$", (ROOT / "runtime/processes/api.py").read_text(), re.MULTILINE)


async def ask(url: str, **headers: str) -> int:
    """The status of a GET, from the API with the settings that Compose gives it."""
    settings = Settings(**{SETTINGS[name]: value for name, value in environment("api").items()})
    assert settings.admin_key
    assert settings.metrics_key
    web = ApiSettings(
        version="1",
        auth_on=settings.auth_on,
        loopback=settings.loopback,
        allowed_hosts=settings.allowed_hosts,
    )
    transport = httpx.ASGITransport(
        create_app(ApiParts(settings=web, answers=MemoryAnswers(), keys=keys(settings))), raise_app_exceptions=False
    )
    async with httpx.AsyncClient(transport=transport) as http:
        return (await http.get(url, headers=headers)).status_code


async def test_the_health_check_of_the_api_asks_what_the_api_answers() -> None:
    command = services()["api"]["healthcheck"]["test"]
    found = re.search(r"urlopen\('(.+?)'", command[-1])
    assert found
    compile(command[-1], "healthcheck", "exec")
    assert await ask(found[1]) == 200
    assert urlsplit(found[1]).port == int(environment("api")["CONVERGIO_PORT"])


async def test_prometheus_is_let_in_with_its_key_and_under_the_name_it_uses() -> None:
    job = prometheus()["scrape_configs"][0]
    url = f"http://{job['static_configs'][0]['targets'][0]}{job['metrics_path']}"
    scheme = job["authorization"]["type"]
    key = {"Authorization": f"{scheme} {SHELL['CONVERGIO_METRICS_KEY']}"}
    assert await ask(url, **key) == 200
    assert await ask(url.replace("/metrics", "/api/v1/agents"), **key) in {403, 404}
    assert await ask(url) == 401
    secret = services()["prometheus"]["secrets"][0]
    assert job["authorization"]["credentials_file"] == f"/run/secrets/{secret['target']}"
    assert raw()["secrets"][secret["source"]] == {"environment": "CONVERGIO_METRICS_KEY"}
    holders = [name for name in services() if "CONVERGIO_ADMIN_KEY" in str(raw()["services"][name])]
    assert holders == ["api"]


@pytest.mark.parametrize("part", ["worker", "projections"])
def test_a_part_without_a_port_is_healthy_while_the_process_it_announced_lives(part: str, tmp_path: Path) -> None:
    kind, command = services()[part]["healthcheck"]["test"]
    ready = tmp_path / "ready"
    assert kind == "CMD-SHELL"
    assert environment(part)["CONVERGIO_READY_FILE"].startswith(f"{services()[part]['tmpfs'][0]}/")

    def healthy() -> bool:
        shell = {"PATH": os.environ["PATH"], "CONVERGIO_READY_FILE": str(ready)}
        return subprocess.run(["/bin/sh", "-c", command], env=shell, capture_output=True, check=False).returncode == 0

    assert not healthy()
    ready.write_text(str(os.getpid()))
    assert healthy()
    gone = subprocess.Popen(["true"])
    gone.wait()
    ready.write_text(str(gone.pid))
    assert not healthy()


def test_temporal_runs_as_the_embedded_one_does_but_for_what_suits_one_machine() -> None:
    configured = yaml.safe_load((ROOT / "deploy/temporal.yml").read_text())
    mounted = services()["temporal"]["volumes"][0].split(":")[1]
    assert environment("temporal")["DYNAMIC_CONFIG_FILE_PATH"] == mounted
    assert {key: rows[0]["value"] for key, rows in configured.items()} == {
        key: value for key, value in DYNAMIC_CONFIG.items() if key not in _ONE_MACHINE
    }


def test_grafana_reads_the_prometheus_that_is_there() -> None:
    source = yaml.safe_load((ROOT / "deploy/grafana.yml").read_text())["datasources"][0]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    assert services()["grafana"]["volumes"][0].split(":")[1].startswith("/etc/grafana/provisioning/datasources/")


def test_the_tables_of_temporal_are_made_where_it_looks_for_them() -> None:
    script = filled(raw()["services"]["temporal-schema"]["command"][0], SHELL)
    shown = script.replace("temporal-sql-tool", "echo temporal-sql-tool")
    done = subprocess.run(["/bin/sh", "-euc", shown], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 6
    assert lines[2].endswith(
        "--database temporal update-schema -d /etc/temporal/schema/postgresql/v12/temporal/versioned"
    )
    assert lines[5].endswith(
        "--database temporal_visibility update-schema -d /etc/temporal/schema/postgresql/v12/visibility/versioned"
    )


def prometheus() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())
    return found
