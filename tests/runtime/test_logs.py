"""One log line style, whoever speaks."""

import io
import json
import subprocess
import sys

from runtime.supervisor.relay import LogRelay
from tests.servers import ROOT


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


EVENT = b'{"event":"answered","level":"info","timestamp":"2026-01-02T03:04:05Z","part":"worker","turn":3}'


def shown(line: bytes, stream: io.StringIO) -> str:
    LogRelay(stream)("worker", line)
    return stream.getvalue()


def test_an_event_passes_as_it_is_where_nobody_looks() -> None:
    assert shown(EVENT, io.StringIO()) == EVENT.decode() + "\n"


def test_an_event_becomes_columns_on_a_terminal() -> None:
    line = shown(EVENT, Terminal())
    assert [word in line for word in ("worker", "answered", "turn", "3")] == [True] * 4
    assert "{" not in line


def test_a_stray_line_becomes_an_event() -> None:
    event = json.loads(shown(b"Segmentation fault\n", io.StringIO()))
    assert (event["part"], event["event"]) == ("worker", "Segmentation fault")


def test_json_that_is_no_event_is_a_stray_line() -> None:
    for line in (b'{"a": 1}', b"{half", b"[]", b"\xff"):
        assert json.loads(shown(line, io.StringIO()))["part"] == "worker"


def test_a_crash_is_one_event() -> None:
    code = "from runtime.logs import configure_logging as c; c('info', 'worker'); raise ValueError('no')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    event = json.loads(done.stderr)
    assert (done.returncode, event["event"], event["part"]) == (1, "crashed", "worker")
    assert event["exception"].endswith("ValueError: no")
