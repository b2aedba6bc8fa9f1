"""`CONVERGIO_LOCAL_MODEL`: what `convergio up` makes of a file, and what it says of the model that answers."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adapters.local_model import MODEL_NAME
from runtime.embedded import StartFailed
from runtime.settings import Settings
from runtime.supervisor.plan import ProcessPlan, make_plan
from runtime.welcome import welcome
from tests.models.test_gguf import gguf, written
from tests.servers import ROOT

ELSEWHERE: dict[str, Any] = {
    "database_url": "postgresql://u@db/x",
    "temporal_address": "temporal:7233",
    "redis_url": "redis://cache",
    "port": 0,
}


def plan(folder: Path, **more: Any) -> tuple[ProcessPlan, Settings]:
    settings = Settings(**{**ELSEWHERE, "data_dir": folder / "data", **more})
    return make_plan(settings, llm=True), settings


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("any-model", "on")),
        ({"model": "ours"}, ("ours", "on")),
        ({"model_tools": "off"}, ("any-model", None)),
    ],
)
def test_workers_and_api_are_told_the_files_name_and_whether_it_takes_tools(
    tmp_path: Path, given: dict[str, str], expected: tuple[str, str | None]
) -> None:
    made, _ = plan(tmp_path, local_model=written(tmp_path, gguf()), **given)
    environment = made.environment()
    assert environment["OPENAI_BASE_URL"].startswith("http://127.0.0.1:")
    assert (environment["CONVERGIO_MODEL"], environment.get("CONVERGIO_MODEL_TOOLS")) == expected


def test_a_file_is_not_looked_at_where_a_provider_is_named(tmp_path: Path) -> None:
    made, _ = plan(tmp_path, local_model=tmp_path / "none.gguf", openai_base_url="http://models/v1")
    assert [server.name for server in made.servers] == []


def test_a_file_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match=r"CONVERGIO_LOCAL_MODEL: .+none\.gguf cannot be read"):
        plan(tmp_path, local_model=tmp_path / "none.gguf")
    with pytest.raises(StartFailed, match="no GGUF file"):
        plan(tmp_path, local_model=written(tmp_path, b"GGUF"))


@pytest.mark.parametrize("verb", ["up", "model"])
def test_the_command_says_what_is_wrong_with_the_file(tmp_path: Path, verb: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "CONVERGIO_"))}
    environment |= {"CONVERGIO_LOCAL_MODEL": str(written(tmp_path, b"")), "CONVERGIO_DATA_DIR": str(tmp_path / "data")}
    command = [sys.executable, "-m", "runtime.cli", verb]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "is no GGUF file, or a part of one" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_small_model_comes_with_a_hint_how_to_get_better_answers(tmp_path: Path) -> None:
    made, settings = plan(tmp_path)
    said = welcome(made, settings, 1.0)
    assert f"{MODEL_NAME} is a very small model" in said
    for variable in ("OPENAI_API_KEY=", "OPENAI_BASE_URL=http://localhost:11434/v1", "CONVERGIO_LOCAL_MODEL="):
        assert variable in said


@pytest.mark.parametrize("given", [{"openai_base_url": "http://models/v1"}, {"openai_api_key": "sk-x"}])
def test_another_model_comes_without_a_hint(tmp_path: Path, given: dict[str, str]) -> None:
    assert "very small model" not in welcome(*plan(tmp_path, **given), 1.0)
    own = plan(tmp_path, local_model=written(tmp_path, gguf()))
    assert "very small model" not in welcome(*own, 1.0)
