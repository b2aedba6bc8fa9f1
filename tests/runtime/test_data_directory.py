"""Who holds a data directory, and what a killed run left in it."""

import subprocess
from pathlib import Path

import pytest

from runtime.data_directory import AlreadyRunning, lock_directory, running_in
from runtime.supervisor.process import ProcessIdentity


def test_a_directory_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    with lock_directory(tmp_path) as held:
        held.announce("http://127.0.0.1:1234", {"REDIS_URL": "redis://here"})
        with pytest.raises(AlreadyRunning, match=r"API at http://127\.0\.0\.1:1234"), lock_directory(tmp_path):
            pass
        run = running_in(tmp_path)
        assert run is not None
        assert run.environment == {"REDIS_URL": "redis://here"}
    assert running_in(tmp_path) is None
    with lock_directory(tmp_path):
        pass


def test_what_a_killed_run_left_is_ended_and_strangers_are_not(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as child, subprocess.Popen(["sleep", "60"]) as stranger:
        with lock_directory(tmp_path) as held:
            held.record_child("child", ProcessIdentity.of(child.pid, "sleep"))
            held.record_child("stranger", ProcessIdentity(stranger.pid, "another boot/1", "sleep"))
            left = (tmp_path / "run.json").read_bytes()
        (tmp_path / "run.json").write_bytes(left)
        with lock_directory(tmp_path):
            assert child.poll() is not None
            assert stranger.poll() is None
        stranger.kill()


def test_an_unreadable_note_of_an_earlier_run_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"half":')
    with lock_directory(tmp_path):
        assert running_in(tmp_path) is not None
