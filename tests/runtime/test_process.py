"""Children that die with their parent, and marks that tell a process from a stranger with its number."""

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest

from runtime.supervisor.process import ProcessCommand, ProcessIdentity, ProcessUser
from tests.runtime.upping import until
from tests.servers import ROOT


def sleeper(**options: object) -> ProcessCommand:
    return ProcessCommand(("sleep", "60"), **options)  # type: ignore[arg-type]


def test_a_child_dies_with_its_parent() -> None:
    code = textwrap.dedent("""
        import subprocess, time
        from runtime.supervisor.process import ProcessCommand
        print(subprocess.Popen(ProcessCommand(("sleep", "60")).tethered_argv()).pid, flush=True)
        time.sleep(60)
    """)
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        until(lambda: (mark := ProcessIdentity.of(child, "sleep")) is not None and mark.is_alive(), 5)
        parent.kill()
    until(lambda: ProcessIdentity.of(child, "sleep") is None, 5)


def test_a_child_whose_parent_died_first_does_not_start() -> None:
    tethered = sleeper().tethered_argv()
    tethered[4] = "1"  # as if we were another process
    assert subprocess.run(tethered, check=False).returncode == 1


def test_a_program_that_is_missing_is_named() -> None:
    done = subprocess.run(
        ProcessCommand(("no-such-program",)).tethered_argv(), check=False, capture_output=True, text=True
    )
    assert done.stderr == "cannot run no-such-program: No such file or directory\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_root_lends_another_user_and_nothing_else() -> None:
    show = ProcessCommand(("grep", "-E", "^(Uid|CapEff)", "/proc/self/status"), user=ProcessUser(65534, 65534))
    said = subprocess.run(show.tethered_argv(), check=True, capture_output=True, text=True).stdout
    assert said.split() == ["Uid:", *["65534"] * 4, "CapEff:", "0" * 16]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_may_pass_through_closed_directories_and_write_nowhere() -> None:
    show = ProcessCommand(("grep", "-E", "^CapEff", "/proc/self/status"), user=ProcessUser(65534, 65534, search=True))
    said = subprocess.run(show.tethered_argv(), check=True, capture_output=True, text=True).stdout
    assert said.split() == ["CapEff:", f"{1 << 2:016x}"]


def test_a_mark_knows_its_process_from_a_stranger() -> None:
    with subprocess.Popen(sleeper().argv) as process:
        mark = ProcessIdentity.of(process.pid, "sleep")
        assert mark is not None
        assert mark.is_alive()
        assert not replace(mark, began="another boot/1").is_alive()
        assert not replace(mark, program="postgres").is_alive()
        replace(mark, began="another boot/1").kill()
        assert process.poll() is None
        mark.kill()
        assert process.wait(5) == -signal.SIGKILL
        assert not mark.is_alive()
