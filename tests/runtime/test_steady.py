"""Whatever becomes of the output, the process that writes it goes on."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import httpx
import pytest

from runtime.steady_output import NonBlockingStream
from tests.runtime.upping import start_up
from tests.servers import ROOT

LINE = "x" * 99 + "\n"


class Pipe:
    """A pipe whose reader reads when it is told to."""

    def __init__(self) -> None:
        self._reading, writing = os.pipe()
        self.file: TextIO = os.fdopen(writing, "w")

    def read(self) -> str:
        os.set_blocking(self._reading, False)
        found = b""
        try:
            while piece := os.read(self._reading, 1 << 20):
                found += piece
        except BlockingIOError:
            pass
        return found.decode()

    def leave(self) -> None:
        os.close(self._reading)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.file.close()


def test_what_is_taken_is_written_whole_and_in_order(pipe: Pipe) -> None:
    stream = NonBlockingStream(pipe.file)
    lines = [f"{number} {'é' * number}\n" for number in range(0, 5000, 500)]
    for line in lines:
        assert stream.write(line) == len(line)
    assert pipe.read() == "".join(lines)


def test_a_reader_that_has_gone_stops_nobody(pipe: Pipe) -> None:
    stream = NonBlockingStream(pipe.file)
    pipe.leave()
    for _ in range(2000):
        stream.write(LINE)


def test_a_reader_that_reads_no_more_is_waited_for_once(pipe: Pipe) -> None:
    stream, began = NonBlockingStream(pipe.file), time.monotonic()
    for _ in range(5000):
        stream.write(LINE)
    assert time.monotonic() - began < 5  # each of them would have waited a tenth of a second


def test_a_reader_that_comes_back_is_told_how_much_was_lost(pipe: Pipe) -> None:
    stream = NonBlockingStream(pipe.file)
    for _ in range(2000):
        stream.write(LINE)
    taken = pipe.read().count(LINE)
    stream.write("back\n")
    told, back = pipe.read().splitlines()
    assert back == "back"
    event = json.loads(told)
    assert event["lost"] == 2000 - taken
    assert event.keys() >= {"event", "level", "timestamp"}


def test_a_line_that_was_cut_ends_where_it_was_cut(pipe: Pipe) -> None:
    stream = NonBlockingStream(pipe.file)
    stream.write("y" * 200_000 + "\n")
    assert set(pipe.read()) == {"y"}
    stream.write("back\n")
    first, told, back = pipe.read().split("\n")[:3]
    assert (first, json.loads(told)["lost"], back) == ("", 1, "back")


def test_a_slow_reader_loses_nothing(pipe: Pipe) -> None:
    found: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            time.sleep(0.01)
            found.append(pipe.read())

    reader = threading.Thread(target=read)
    reader.start()
    stream = NonBlockingStream(pipe.file)
    for _ in range(3000):
        stream.write(LINE)
    done.set()
    reader.join()
    assert "".join([*found, pipe.read()]) == LINE * 3000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
def test_a_full_disk_stops_nobody() -> None:
    with Path("/dev/full").open("w") as full:
        stream = NonBlockingStream(full)
        for _ in range(100):
            stream.write(LINE)


def test_an_output_that_is_closed_or_absent_stops_nobody(pipe: Pipe) -> None:
    NonBlockingStream(None).write(LINE)
    closed = NonBlockingStream(pipe.file)
    pipe.file.close()
    closed.write(LINE)
    NonBlockingStream(pipe.file).write(LINE)


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "2> >(exec true)"])
def test_a_part_that_logs_goes_on_without_its_standard_error(redirection: str) -> None:
    code = (
        "import logging, structlog, time; from runtime.logs import configure_logging as c; c('info', 'worker'); "
        "time.sleep(0.3); [(structlog.get_logger().info('a'), logging.info('b')) for _ in range(2000)]; print('on')"
    )
    done = subprocess.run(
        ["bash", "-c", f'"$0" -c "$1" {redirection}', sys.executable, code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.stdout == "on\n"


def test_the_system_answers_while_nobody_reads_what_it_says(tmp_path: Path) -> None:
    with start_up(tmp_path / "data") as up:
        up.wait_until_ready()
        url = up.run().url
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "runtime.cli", "up", "--data-dir", str(tmp_path / "data"), "--no-llm"]
    process = subprocess.Popen([*command, "--port", url.rpartition(":")[2]], cwd=ROOT, stdout=writing, stderr=writing)
    try:
        os.close(writing)
        with httpx.Client(base_url=url, timeout=10) as http:
            until_answered(http)
            for number in range(600):  # each a line of some 300 bytes, into a pipe of 64 KiB that is not read
                assert http.get(f"/nothing/{number}").status_code in {404, 429}
            assert http.get("/health/live").status_code == 200
            os.close(reading)  # and then the reader is gone altogether
            reading = -1
            assert http.get("/nothing").status_code in {404, 429}
            assert http.get("/health/live").status_code == 200
        process.terminate()
        assert process.wait(60) == 0
    finally:
        if reading >= 0:
            os.close(reading)
        process.kill()
        process.wait()


def until_answered(http: httpx.Client) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if http.get("/health/live").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise TimeoutError
