"""A backup is whole or not there, and is not restored where it could do harm."""

import fcntl
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from adapters.postgres.ledger.pool import Database
from domain.errors import Conflict
from runtime.backup.backup import LOCK, PARTIAL, make_backup
from runtime.backup.listing import list_backups
from runtime.backup.manifest import CHECKSUM, DATABASE, MANIFEST, BackupError, read_manifest
from runtime.backup.recovery import refuse_unreconciled
from runtime.backup.restore import restore_backup
from runtime.backup.retention import make_kept_backup
from runtime.settings import Settings
from runtime.supervisor.backups import until_next
from tests.servers import ROOT


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings of a system whose servers run elsewhere."""
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO content (owner, hash, body) VALUES ('o', 'h', 'kept')")
    return Settings(database_url=database_url, temporal_address="elsewhere:7233", data_dir=tmp_path / "data")


@pytest.fixture
def backup(settings: Settings, tmp_path: Path) -> Path:
    make_backup(settings, tmp_path / "backup")
    return tmp_path / "backup"


def into(url: str, tmp_path: Path) -> Settings:
    return Settings(database_url=url, temporal_address="elsewhere:7233", data_dir=tmp_path / "new")


def contents(path: Path) -> set[str]:
    return {each.name for each in path.iterdir()}


def test_a_backup_of_servers_elsewhere_says_that_it_lacks_work_in_progress(backup: Path) -> None:
    manifest = read_manifest(backup)
    assert contents(backup) == {DATABASE, MANIFEST, CHECKSUM}
    assert manifest.temporal.version is None
    assert "elsewhere:7233" in (manifest.temporal.missing or "")
    assert manifest.signing_key == "kept by the operator"
    assert all(path.stat().st_mode & 0o077 == 0 for path in (backup, *backup.iterdir()))


def test_a_backup_is_restored_into_an_empty_database_which_must_be_reconciled(
    backup: Path, empty_database_url: str, tmp_path: Path
) -> None:
    restore_backup(into(empty_database_url, tmp_path), backup)
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT body FROM content WHERE owner = 'o'").fetchone() == ("kept",)
    database = Database(empty_database_url)
    database.open()
    with pytest.raises(Conflict, match="not reconciled"):
        refuse_unreconciled(database)
    database.close()


def test_a_database_with_tables_is_not_restored_into(backup: Path, database_url: str, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="not empty"):
        restore_backup(into(database_url, tmp_path), backup)


def test_a_backup_never_overwrites_anything(settings: Settings, backup: Path) -> None:
    with pytest.raises(BackupError, match="not empty"):
        make_backup(settings, backup)
    assert read_manifest(backup)


def test_an_empty_directory_may_take_a_backup(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    make_backup(settings, tmp_path / "empty")
    assert read_manifest(tmp_path / "empty")


def _flip(path: Path) -> None:
    text = bytearray(path.read_bytes())
    text[len(text) // 2] ^= 1
    path.write_bytes(text)


def _edit(directory: Path, **changes: object) -> None:
    """Change the manifest as another release might have written it, with the right checksum."""
    text = json.dumps({**json.loads((directory / MANIFEST).read_text()), **changes})
    (directory / MANIFEST).write_text(text)
    (directory / CHECKSUM).write_text(hashlib.sha256(text.encode()).hexdigest())


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: _flip(path / DATABASE), "is damaged"),
        (lambda path: _flip(path / MANIFEST), "is damaged"),
        (lambda path: (path / DATABASE).unlink(), "cannot be read"),
        (lambda path: (path / MANIFEST).unlink(), "not a whole backup"),
        (lambda path: _edit(path, format=2), "form that this release cannot read"),
        (lambda path: _edit(path, migrations=["9999_future.sql"]), "tables this one does not know"),
        (lambda path: _edit(path, temporal={"version": "temporal 0.1", "missing": None}), "with the release that made"),
    ],
)
def test_a_spoiled_or_foreign_backup_is_refused_before_anything_is_touched(
    spoil: Callable[[Path], None], why: str, backup: Path, empty_database_url: str, tmp_path: Path
) -> None:
    spoil(backup)
    with pytest.raises(BackupError, match=why):
        restore_backup(into(empty_database_url, tmp_path), backup)
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_stat_user_tables").fetchone() == (0,)
    assert not (tmp_path / "new").exists()


def test_a_data_directory_with_anything_in_it_is_not_restored_into(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "file").touch()
    with pytest.raises(BackupError, match="is not empty"):
        restore_backup(Settings(data_dir=tmp_path / "new"), backup)
    assert contents(tmp_path / "new") == {"file"}


def test_a_failed_backup_leaves_nothing(tmp_path: Path) -> None:
    away = Settings(database_url="postgresql://nobody@127.0.0.1:1/none", data_dir=tmp_path / "data")
    with pytest.raises(BackupError, match="failed"):
        make_backup(away, tmp_path / "backup")
    assert not list(tmp_path.glob("backup*"))


def test_a_full_disk_leaves_nothing_and_is_named(settings: Settings, tmp_path: Path) -> None:
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096));"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "from runtime.cli import app; sys.argv = ['convergio', 'backup', sys.argv[1]]; app()"
    )
    # the limit is on every file that the process writes: its bytecode would be cut, too
    environment = {"DATABASE_URL": settings.database_url or "", "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "backup")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    assert "pg_dump failed" in done.stderr
    assert not list(tmp_path.glob("backup*"))


def test_an_interrupted_backup_is_no_backup_and_the_next_one_removes_it(settings: Settings, tmp_path: Path) -> None:
    partial = tmp_path / f"backup{PARTIAL}"
    partial.mkdir()
    (partial / DATABASE).write_text("half")
    with pytest.raises(BackupError, match="not a whole backup"):
        restore_backup(Settings(data_dir=tmp_path / "new"), partial)
    make_backup(settings, tmp_path / "backup")
    assert not partial.exists()


def test_two_backups_of_one_name_are_not_made_at_once(settings: Settings, tmp_path: Path) -> None:
    partial = tmp_path / f"backup{PARTIAL}"
    partial.mkdir()
    with (partial / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BackupError, match="another process"):
            make_backup(settings, tmp_path / "backup")
    assert partial.exists()


def test_the_newest_backups_are_kept_and_only_whole_ones_count(settings: Settings, tmp_path: Path) -> None:
    first, _ = make_kept_backup(settings, tmp_path / "all", keep=1)
    aside = first.path.with_name("convergio-20000101T000000Z")
    first.path.rename(aside)
    interrupted = tmp_path / "all" / f"convergio-29990101T000000Z{PARTIAL}"
    interrupted.mkdir()
    damaged = tmp_path / "all" / "convergio-29990101T000001Z"
    damaged.mkdir()
    (damaged / MANIFEST).write_text("{}")
    second, removed = make_kept_backup(settings, tmp_path / "all", keep=1)
    assert removed == [aside]
    assert [each.path for each in list_backups(tmp_path / "all")] == [second.path]
    assert damaged.exists()


def test_what_a_killed_process_has_left_of_a_backup_is_removed_by_the_next_one(
    settings: Settings, tmp_path: Path
) -> None:
    abandoned, written = (tmp_path / f"convergio-2999010{day}T000000Z{PARTIAL}" for day in (1, 2))
    abandoned.mkdir()
    written.mkdir()
    with (written / LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        make_kept_backup(settings, tmp_path, keep=1)
    assert not abandoned.exists()
    assert written.exists()


def test_a_backup_is_due_when_the_newest_whole_one_is_old_enough(settings: Settings, tmp_path: Path) -> None:
    every, now = timedelta(hours=24), datetime.now(UTC)
    assert until_next(tmp_path / "all", every, now) == timedelta()
    stored, _ = make_kept_backup(settings, tmp_path / "all", keep=1)
    moment = stored.manifest.moment
    assert until_next(tmp_path / "all", every, moment + timedelta(hours=1)) == timedelta(hours=23)
    assert until_next(tmp_path / "all", every, moment + timedelta(days=2)) == timedelta()
