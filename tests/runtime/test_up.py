"""`convergio up` with real processes: all of it runs, comes back when killed, and leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from redis import Redis

from runtime.data_directory import RunRecord
from runtime.embedded import Ports
from runtime.embedded.probe import answers_http
from tests.runtime.upping import Up, start_up, until
from tests.servers import ROOT

PARTS = {"postgres", "temporal", "valkey", "worker", "projections", "api"}
NAMES = ["convergio worker", "convergio api", "convergio projections", "temporal", "postgres", "valkey-server"]


def living(run: RunRecord) -> set[str]:
    return {name for name, mark in run.children.items() if mark.is_alive()}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with start_up(tmp_path_factory.mktemp("up") / "data") as up:
        up.wait_until_ready()
        yield up


def test_everything_runs_and_every_url_is_said(up: Up) -> None:
    assert living(up.run()) == PARTS
    assert httpx.get(f"{up.run().url}/health/live").status_code == 200
    for url in (up.run().url, *up.run().environment.values()):
        assert url in up.output
    assert f"curl -s {up.run().url}/api/v1/agents/chat" in up.output


def test_a_second_api_listens_where_it_is_told_beside_the_first(up: Up) -> None:
    port = Ports().pick()
    variables = {"CONVERGIO_DATA_DIR": str(up.directory), "CONVERGIO_PORT": str(port), "CONVERGIO_LOG_LEVEL": "error"}
    second = subprocess.Popen([sys.executable, "-m", "runtime.cli", "api"], cwd=ROOT, env={**os.environ, **variables})
    try:
        until(lambda: answers_http(port, "/health/live"), 30)
        assert httpx.get(f"http://127.0.0.1:{port}/api/v1/agents?limit=1").json()["total"] == 48
    finally:
        second.terminate()
        second.wait(30)


def test_the_doctor_finds_the_running_servers_and_nothing_wrong(up: Up) -> None:
    command = [sys.executable, "-m", "runtime.cli", "doctor", "--data-dir", str(up.directory)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "projection costs" in done.stdout


def test_answers_are_signed_under_a_secret_that_is_nowhere_displayed(up: Up) -> None:
    secret = (up.directory / "signing-key").read_text()
    environment = {**os.environ, "CONVERGIO_DATA_DIR": str(up.directory)}
    command = [sys.executable, "-m", "runtime.cli", "signing-key", "list"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("  signs\n"), done.stderr
    assert secret not in up.output
    assert secret not in (up.directory / "run.json").read_text()
    holders = {
        name for name, mark in up.run().children.items() if secret in psutil.Process(mark.pid).environ().values()
    }
    assert holders == {"worker", "api"}


def test_each_part_is_a_session_of_its_own(up: Up) -> None:
    pids = ",".join(str(mark.pid) for mark in up.run().children.values())
    sessions = subprocess.run(["ps", "-o", "pid=,sid=", "-p", pids], capture_output=True, text=True, check=True).stdout
    assert all(pid == session for pid, session in (line.split() for line in sessions.splitlines()))


def test_ps_names_the_servers(up: Up) -> None:
    pids = ",".join(str(mark.pid) for mark in up.run().children.values())
    names = subprocess.run(["ps", "-o", "comm=", "-p", pids], capture_output=True, text=True, check=True).stdout
    assert {"postgres", "temporal", "valkey-server"} <= set(names.split())


def test_a_second_one_on_the_same_directory_is_refused(up: Up) -> None:
    with start_up(up.directory) as second:
        assert second.process.wait(10) == 1
    assert f"already runs in {up.directory} as process {up.process.pid}, API at {up.run().url}" in second.output
    assert living(up.run()) == PARTS


@pytest.mark.parametrize("part", ["worker", "projections", "api", "valkey", "temporal", "postgres"])
def test_what_is_killed_starts_again_on_its_port(up: Up, part: str) -> None:
    before, dead = up.run(), up.pid(part)
    up.kill(part)
    up.wait_until_reborn(part, dead)
    assert living(up.run()) == PARTS
    assert up.run().environment == before.environment


def test_who_is_killed_again_and_again_starts_again_each_time_at_once(up: Up) -> None:
    """It was ready each time, so it is not what is wrong."""
    before = up.output.count("starting it again")
    for _ in range(4):
        dead = up.pid("projections")
        up.kill("projections")
        up.wait_until_reborn("projections", dead)
    told = [line for line in up.output.splitlines() if "starting it again" in line][before:]
    assert len(told) == 4
    assert all('"in_s":0.2' in line for line in told), told


def test_whatever_is_killed_the_next_one_picks_up(tmp_path: Path) -> None:
    with start_up(tmp_path / "data") as first:
        first.wait_until_ready()
        run = first.run()
        with psycopg.connect(run.environment["DATABASE_URL"]) as connection:
            connection.execute("CREATE TABLE kept ()")
        with Redis.from_url(run.environment["REDIS_URL"]) as client:
            client.set("kept", 1)
        first.process.kill()
        until(lambda: not living(run), 5)
    with start_up(tmp_path / "data") as second:
        second.wait_until_ready()
        run = second.run()
        assert_kept(run)
        for mark in (run.supervisor, *run.children.values()):
            mark.kill()
    with start_up(tmp_path / "data") as third:
        third.wait_until_ready()
        assert_kept(third.run())


def assert_kept(run: RunRecord) -> None:
    with psycopg.connect(run.environment["DATABASE_URL"]) as connection:
        connection.execute("SELECT FROM kept")
    with Redis.from_url(run.environment["REDIS_URL"]) as client:
        assert client.get("kept") == b"1"


def test_a_second_signal_stops_at_once_what_does_not_stop(tmp_path: Path) -> None:
    with start_up(tmp_path / "data") as up:
        up.wait_until_ready()
        run = up.run()
        os.kill(up.pid("worker"), signal.SIGSTOP)
        up.process.send_signal(signal.SIGINT)
        time.sleep(1.2)
        assert up.stop(signal.SIGINT) == 0
        assert not living(run)
        assert "stopping at once" in up.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_is_clean_and_quick(tmp_path: Path, number: signal.Signals) -> None:
    with start_up(tmp_path / "data") as up:
        up.wait_until_ready()
        run = up.run()
        began = time.monotonic()
        assert up.stop(number) == 0
        assert time.monotonic() - began < 5
        assert not living(run)
        assert "killed" not in up.output


def test_an_interrupt_stops_it_also_in_the_background_of_a_script(tmp_path: Path) -> None:
    with start_up(tmp_path / "data", in_background=True) as up:
        up.wait_until_ready()
        run = up.run()
        assert up.stop(signal.SIGINT) == 0
        assert not living(run)


def test_it_can_be_stopped_while_it_starts(tmp_path: Path) -> None:
    with start_up(tmp_path / "data") as up:
        until((tmp_path / "data" / "postgres").exists, 10)
        assert up.stop() == 0
    leftovers = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=False).stdout
    assert leftovers == ""


def test_a_default_port_that_is_taken_is_replaced_and_said(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(("127.0.0.1", 63790))
            other.listen()
        except OSError:
            pass  # somebody else has it, which is as good
        with start_up(tmp_path / "data") as up:
            until(lambda: '"event":"starting"' in up.output, 10)
            assert '"what":"Valkey","wanted":63790' in up.output


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with start_up(tmp_path / "data", "--port", str(port)) as up:
            assert up.process.wait(10) == 1
    assert f"port {port} of 127.0.0.1, requested for the API, is taken" in up.output


def test_a_server_that_is_named_is_not_embedded(tmp_path: Path, valkey_server: str) -> None:
    with start_up(tmp_path / "data", REDIS_URL=valkey_server) as up:
        up.wait_until_ready()
        assert living(up.run()) == PARTS - {"valkey"}
        assert up.run().environment["REDIS_URL"] == valkey_server


def test_a_server_that_cannot_start_stops_everything_and_shows_its_last_words(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "valkey" / "appendonlydir").mkdir(parents=True)
    (data / "valkey" / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")
    with start_up(data) as up:
        assert up.process.wait(30) == 1
    assert "valkey ended with code 1" in up.output
    assert "Reading the manifest file" in up.output


def test_an_open_address_without_keys_is_refused(tmp_path: Path) -> None:
    with start_up(tmp_path / "data", "--host", "::") as up:
        assert up.process.wait(10) == 2
    assert "needs CONVERGIO_AUTH=keys" in up.output
    assert not (tmp_path / "data").exists()
