"""What a clone starts with."""

import re
import subprocess
import tomllib

import pytest

from tests.servers import ROOT

TARGETS = ["help", "run", "test", "check", "prove", "demo", "bench", "lock", "clean"]


def test_make_alone_lists_every_target() -> None:
    said = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"make (\w+)", said) == TARGETS


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock", "requirements-uv.lock"])
def test_a_lock_names_no_host_and_hashes_everything(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    packages = [line for line in text.splitlines() if not line.startswith(" ")]
    assert [line for line in packages if "==" not in line or not line.endswith("\\")] == []


def test_what_installs_everything_is_pinned_by_hash_itself() -> None:
    assert re.match(r"uv==\d+\.\d+\.\d+ \\\n    --hash=sha256:", (ROOT / "requirements-uv.lock").read_text())
    for name in ("Makefile", "Dockerfile"):
        lines = (ROOT / name).read_text().splitlines()
        [fetched] = [line for line in lines if "pip install" in line and "uv pip install" not in line]
        assert "--require-hashes -r" in fetched


def test_everything_that_runs_is_pinned() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split(r"[\[<>=;~! ]", line)[0] for line in declared}
    pinned = set(re.findall(r"^([a-z0-9.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert names <= pinned


def test_the_build_runs_the_tests_and_nothing_else() -> None:
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "exec make test"
