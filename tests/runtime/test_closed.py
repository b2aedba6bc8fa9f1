"""What of a running system is open to whom: pages of other origins, other users, children, readers of the output."""

import os
import re
import stat
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest
from aiohttp import web

from adapters.web.guarded_proxy import GuardedProxy
from runtime.data_directory import lock_directory
from runtime.embedded import Ports, PostgresServer, TemporalServer, run_server
from runtime.redaction import without_passwords
from runtime.supervisor.process import ProcessCommand
from runtime.supervisor.script import PASSED, part_command
from tests.runtime.upping import Up, start_up

EVIL = {
    "another name": {"Host": "evil.example:8233"},
    "another name that looks like ours": {"Host": "localhost.evil.example"},
    "our name with something before it": {"Host": "evil@localhost"},
    "another address": {"Host": "10.0.0.1"},
    "another origin": {"Origin": "http://evil.example"},
    "another port of this machine": {"Origin": "http://localhost:3000"},
    "no origin at all": {"Origin": "null"},
}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    secrets = {"AWS_SECRET_ACCESS_KEY": "seen-by-nobody", "OPENAI_BASE_URL": "http://me:hunter2@127.0.0.1:9/v1"}
    with start_up(tmp_path_factory.mktemp("closed") / "data", CONVERGIO_LOG_LEVEL="debug", **secrets) as up:
        up.wait_until_ready()
        yield up


@pytest.fixture
async def guarded() -> AsyncIterator[str]:
    """The address of a guarded page that says what reached it."""
    app = web.Application()

    async def told(request: web.Request) -> web.Response:
        body = await request.text()
        headers = {"Access-Control-Allow-Origin": "*", "X-Told": "yes"}
        response = web.json_response(
            {"method": request.method, "path": request.raw_path, "body": body}, headers=headers
        )
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    app.router.add_route("*", "/{path:.*}", told)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port, proxy = Ports().pick(), GuardedProxy(f"http://127.0.0.1:{runner.addresses[0][1]}")
    await proxy.start(port)
    yield f"http://127.0.0.1:{port}"
    await proxy.close()
    await runner.cleanup()


@pytest.mark.parametrize("headers", EVIL.values(), ids=EVIL)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
async def test_a_page_of_elsewhere_reaches_nothing(guarded: str, method: str, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient() as http:
        answer = await http.request(method, guarded, headers=headers)
    assert (answer.status_code, "x-told" in answer.headers) == (403, False)


async def test_nothing_is_changed_for_whoever_does_not_say_where_from(guarded: str) -> None:
    async with httpx.AsyncClient() as http:
        assert (await http.post(f"{guarded}/api", content="{}")).status_code == 403


async def test_the_page_itself_is_passed_on_whole(guarded: str) -> None:
    own = {"Origin": guarded}
    async with httpx.AsyncClient() as http:
        read = await http.get(f"{guarded}/a%2Fb?c=%20d")
        told = await http.post(f"{guarded}/api", content="x" * 100_000, headers=own)
    assert read.json()["path"] == "/a%2Fb?c=%20d"
    assert (told.json()["method"], len(told.json()["body"])) == ("POST", 100_000)
    assert told.headers.get_list("set-cookie") == ["a=1; Path=/", "b=2; Path=/"]
    assert "access-control-allow-origin" not in told.headers
    assert told.headers["x-frame-options"] == "DENY"


async def test_a_page_whose_server_is_away_is_a_bad_gateway() -> None:
    port, proxy = Ports().pick(), GuardedProxy("http://127.0.0.1:1")
    await proxy.start(port)
    async with httpx.AsyncClient() as http:
        assert (await http.get(f"http://127.0.0.1:{port}")).status_code == 502
    await proxy.close()


def test_temporals_web_ui_is_there_and_answers_its_own_pages_only(up: Up) -> None:
    url = up.run().environment["TEMPORAL_UI_URL"]
    assert "<html" in httpx.get(url, follow_redirects=True).text
    assert httpx.get(f"{url}/api/v1/namespaces").json()["namespaces"]
    for headers in EVIL.values():
        assert httpx.get(f"{url}/api/v1/namespaces", headers=headers).status_code == 403
    assert httpx.post(f"{url}/api/v1/namespaces/default/workflows/x", content="{}").status_code == 403


def test_no_port_on_this_machine_gives_runs_to_a_page_of_another_name(up: Up) -> None:
    mark = up.run().children["temporal"]
    listening = [each.laddr for each in psutil.Process(mark.pid).net_connections("tcp") if each.status == "LISTEN"]
    assert listening
    for address in listening:
        if address.ip == "127.0.0.1":  # the other one cannot be guessed
            for path in ("/api/v1/namespaces", "/api/v1/namespaces/default/workflows"):
                for host in ("evil.example", "localhost", f"127.0.0.1:{address.port}"):
                    assert not gives(f"http://127.0.0.1:{address.port}{path}", host)


def gives(url: str, host: str) -> bool:
    try:
        return httpx.get(url, headers={"Host": host}, timeout=2).status_code < 400
    except httpx.HTTPError:
        return False


@pytest.mark.skipif(not Path("/proc/net").exists(), reason="only Linux has all of 127/8")
def test_the_web_ui_itself_is_where_nobody_guesses(tmp_path: Path) -> None:
    servers = [TemporalServer(tmp_path, port=1, http_port=2, ui_port=3) for _ in range(3)]
    urls = {server.inner_ui_url for server in servers}
    assert len(urls) == 3
    assert all(url and re.fullmatch(r"http://127\.\d+\.\d+\.\d+:3", url) for url in urls)
    assert TemporalServer(tmp_path, port=1, http_port=2, ui_port=None).inner_ui_url is None


def test_the_data_directory_is_its_owners_alone(up: Up) -> None:
    assert stat.S_IMODE(up.directory.stat().st_mode) == 0o700
    for path in up.directory.iterdir():
        assert not path.stat().st_mode & 0o077, path
    for path in (up.directory / "logs").iterdir():
        assert not path.stat().st_mode & 0o077, path


def test_a_directory_of_an_older_release_is_closed(tmp_path: Path) -> None:
    for name, mode in (("lock", 0o700), ("other", 0o755)):
        directory = tmp_path / name
        directory.mkdir()
        directory.chmod(0o755)
        (directory / name).touch()
        with lock_directory(directory):
            assert stat.S_IMODE(directory.stat().st_mode) == mode  # one that is somebody's own stays as it is
    with lock_directory(tmp_path / "new" / "deep"):
        assert stat.S_IMODE((tmp_path / "new" / "deep").stat().st_mode) == 0o700


def test_no_child_has_what_it_does_not_need(up: Up) -> None:
    for name, mark in up.run().children.items():
        environment = psutil.Process(mark.pid).environ()
        assert "AWS_SECRET_ACCESS_KEY" not in environment, name
        if name in {"postgres", "temporal", "valkey"}:
            assert not {key for key in environment if key.startswith(("CONVERGIO_", "OPENAI_", "DATABASE_"))}, name
        else:
            assert environment["OPENAI_BASE_URL"]


@pytest.mark.parametrize(
    ("name", "passes"),
    [
        ("PATH", True),
        ("HOME", True),
        ("LC_ALL", True),
        ("OPENAI_API_KEY", True),
        ("CONVERGIO_ADMIN_KEY", True),
        ("https_proxy", True),
        ("PGSSLROOTCERT", True),
        ("GITHUB_TOKEN", False),
        ("ANTHROPIC_API_KEY", False),
        ("CONVERGIO_NO_SETTING", False),
        ("LD_PRELOAD", False),
        ("PYTHONSTARTUP", False),
        ("SSH_AUTH_SOCK", False),
    ],
)
def test_the_parts_get_their_settings_and_what_programs_need(
    monkeypatch: pytest.MonkeyPatch, name: str, *, passes: bool
) -> None:
    monkeypatch.setenv(name, "given")
    assert (part_command("worker").full_environment().get(name) == "given") is passes
    assert ("CONVERGIO_ADMIN_KEY" in part_command("model").full_environment()) is False
    assert ("OPENAI_API_KEY" in ProcessCommand(("true",)).full_environment()) is False
    assert replace(ProcessCommand(("true",)), passes=PASSED).full_environment().get("PATH") == os.environ["PATH"]


def test_no_password_is_shown(up: Up) -> None:
    assert "hunter2" not in up.output
    assert "http://me:***@127.0.0.1:9/v1" in up.output


def test_no_password_is_shown_where_postgresql_needs_one(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path / ("long" * 30) / "postgres", Ports().pick(), durable=False)
    with run_server(server, tmp_path / "log"):
        [shown] = server.display_urls.values()
        assert server.url != shown == re.sub(r":[^:@]+@", "@", server.url)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:secret@h:5432/db", "postgresql://me:***@h:5432/db"),
        ("redis://:secret@h/0 and redis://:other@h/1", "redis://:***@h/0 and redis://:***@h/1"),
        ('{"url":"https://a:p@ss@h/x","b":"c@d"}', '{"url":"https://a:***@h/x","b":"c@d"}'),
        ("http://127.0.0.1:8000/a@b", "http://127.0.0.1:8000/a@b"),
        ("postgresql://me@/db?host=/tmp&port=1", "postgresql://me@/db?host=/tmp&port=1"),
        ("mail a@b.c, see http://h:80/", "mail a@b.c, see http://h:80/"),
    ],
)
def test_a_password_in_a_url_is_left_out(text: str, shown: str) -> None:
    assert without_passwords(text) == shown
