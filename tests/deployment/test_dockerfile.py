"""The image holds what the parts need, and nothing runs as root in it."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from fnmatch import fnmatch
from pathlib import Path

from tests.servers import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def instructions(kind: str) -> list[str]:
    """What follows each `kind` in the Dockerfile, in order."""
    return re.findall(rf"^{kind} (.+)$", DOCKERFILE, re.MULTILINE)


def copied() -> list[str]:
    """The paths of this repository that are copied into the build."""
    return [word for line in instructions("COPY") if "--from" not in line for word in line.split()[:-1]]


def test_both_stages_start_from_one_pinned_python_that_the_project_allows() -> None:
    bases = {line.split()[0] for line in instructions("FROM")}
    assert len(bases) == 1
    found = re.fullmatch(r"python:3\.(\d+)\.\d+-slim-\w+", bases.pop())
    assert found
    assert PROJECT["project"]["requires-python"] == ">=3.11"
    assert int(found[1]) >= 11


def test_the_image_runs_the_command_of_the_project_as_nobody_special() -> None:
    assert instructions("ENTRYPOINT") == ['["convergio"]']
    assert set(PROJECT["project"]["scripts"]) == {"convergio"}
    assert instructions("USER") == ["10001:10001"]
    assert DOCKERFILE.index("USER 10001") > DOCKERFILE.rindex("COPY")


def test_dependencies_come_from_the_lock_with_hashes() -> None:
    installs = [line for line in instructions("RUN") if "uv pip install" in line]
    assert "--require-hashes -r requirements.lock" in installs[0]
    assert "--no-deps --no-build-isolation ." in installs[1]
    assert len(installs) == 2
    assert re.search(r"^hatchling==", (ROOT / "requirements.lock").read_text(), re.MULTILINE), "the build needs it"


def test_every_package_and_nothing_that_is_ignored_is_copied() -> None:
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {path.rstrip("/") for path in copied() if path.endswith("/")} == set(packages)
    assert all((ROOT / path).exists() for path in copied())
    first, *rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert first == "*"
    kept = {rule[1:] for rule in rules if rule.startswith("!")}
    assert kept == set(copied())


def test_what_is_copied_makes_a_wheel_with_migrations_and_agents_in_it(tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    for path in copied():
        if path.endswith("/"):
            shutil.copytree(ROOT / path, tmp_path / path, ignore=ignored)
        else:
            shutil.copy(ROOT / path, tmp_path / path)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "dist"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    wheel = next((tmp_path / "dist").glob("*.whl"))
    names = zipfile.ZipFile(wheel).namelist()
    agents = [path.name for path in (ROOT / "agents").glob("*.md")]
    migrations = [path.name for path in (ROOT / "adapters/postgres/migrations").glob("*.sql")]
    assert len(agents) == 48
    assert {f"agents/{name}" for name in agents} <= set(names)
    assert {f"adapters/postgres/migrations/{name}" for name in migrations} <= set(names)
    assert any(fnmatch(name, "convergio-*/licenses/LICENSE") for name in names)
