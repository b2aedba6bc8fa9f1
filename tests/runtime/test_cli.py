"""The verbs, alone."""

import os
import subprocess
import sys
from pathlib import Path

import orjson
import psycopg
import pytest

from domain.keys.policy import parse_key
from tests.servers import ROOT


def convergio(*words: str, data_dir: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "CONVERGIO_DATA_DIR": str(data_dir), **variables}
    command = [sys.executable, "-m", "runtime.cli", *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("part", "missing"),
    [
        ("api", "DATABASE_URL and TEMPORAL_ADDRESS and REDIS_URL"),
        ("worker", "DATABASE_URL and TEMPORAL_ADDRESS and REDIS_URL"),
        ("projections", "DATABASE_URL"),
        ("migrate", "DATABASE_URL and TEMPORAL_ADDRESS"),
        ("rebuild", "DATABASE_URL"),
    ],
)
def test_a_part_alone_says_which_variable_is_missing(part: str, missing: str, tmp_path: Path) -> None:
    done = convergio(part, data_dir=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"convergio {part} needs {missing}:")


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    done = convergio("up", data_dir=tmp_path, CONVERGIO_RATE_LIMIT="many")
    assert done.returncode == 2
    assert done.stderr.startswith("CONVERGIO_RATE_LIMIT: use REQUESTS/SECONDS")


def test_help_lists_every_verb(tmp_path: Path) -> None:
    said = convergio("--help", data_dir=tmp_path).stdout
    for verb in ("up", "api", "worker", "projections", "migrate", "rebuild", "doctor", "demo", "model", "key"):
        assert f" {verb} " in said
    for verb in ("backup", "restore", "reconcile"):
        assert f" {verb} " in said


def test_a_key_is_created_where_the_database_is_and_printed_once(database_url: str, tmp_path: Path) -> None:
    done = convergio("key", "create", "--name", "CI", data_dir=tmp_path, DATABASE_URL=database_url)
    assert done.returncode == 0, done.stderr
    parsed = parse_key(done.stdout.strip())
    assert parsed is not None
    assert done.stdout.strip() not in done.stderr
    with psycopg.connect(database_url) as connection:
        state = connection.execute("SELECT state FROM ledger_events").fetchall()
    assert len(state) == 1
    assert orjson.loads(state[0][0])["secret_hash"] == parsed.hash.hex()
    for words in (("--scopes", "all"), ("--tenant", "nobody"), ("--name", " ")):
        refused = convergio("key", "create", "--name", "CI", *words, data_dir=tmp_path, DATABASE_URL=database_url)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.count("\n") == 1


def test_a_server_that_is_away_is_one_line_not_a_traceback(tmp_path: Path) -> None:
    done = convergio("rebuild", data_dir=tmp_path, DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "the database cannot be reached" in done.stderr
