"""Making the tables: each file once, in order, by one process at a time."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from adapters.postgres import migrate as module
from adapters.postgres.migrate import applied_migrations, known_migrations, migrate
from adapters.postgres.projections.rows import columns
from domain.errors import Conflict, Unavailable
from domain.projection import Row
from runtime.wiring.projections import projections


def test_a_new_database_gets_every_migration_once(empty_database_url: str) -> None:
    assert applied_migrations(empty_database_url) == []
    assert migrate(empty_database_url) == known_migrations()
    assert applied_migrations(empty_database_url) == known_migrations()
    assert migrate(empty_database_url) == []


def test_of_many_who_migrate_at_once_each_file_is_applied_by_one(empty_database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: migrate(empty_database_url), range(4)))
    assert sorted(name for names in done for name in names) == known_migrations()


def test_a_migration_that_fails_leaves_nothing_of_itself(
    empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "0001_good.sql").write_text("CREATE TABLE good (n int);")
    (tmp_path / "0002_bad.sql").write_text("CREATE TABLE half (n int); SELECT 1 / 0;")
    monkeypatch.setattr(module, "DIRECTORY", tmp_path)
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(empty_database_url)
    assert applied_migrations(empty_database_url) == ["0001_good.sql"]
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT to_regclass('half')").fetchone() == (None,)
    (tmp_path / "0002_bad.sql").write_text("CREATE TABLE half (n int);")
    assert migrate(empty_database_url) == ["0002_bad.sql"]


def test_a_database_of_another_line_of_releases_is_refused(empty_database_url: str) -> None:
    migrate(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("UPDATE schema_migrations SET name = '0002_chat_and_costs.sql' WHERE name LIKE '0002%'")
    with pytest.raises(Conflict, match="0002_chat_and_costs"):
        migrate(empty_database_url)


def test_a_database_of_a_newer_release_is_left_as_it_is(empty_database_url: str) -> None:
    migrate(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("INSERT INTO schema_migrations (name) VALUES ('9999_newer.sql')")
    assert migrate(empty_database_url) == []


def test_a_database_that_is_away_is_said() -> None:
    with pytest.raises(Unavailable):
        migrate("postgresql://u:p@127.0.0.1:1/d")
    with pytest.raises(Unavailable):
        applied_migrations("postgresql://u:p@127.0.0.1:1/d")


KINDS = [kind for projection in projections() for kind in projection.kinds]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.TABLE)
def test_a_views_columns_are_its_rows_fields_in_order(module_database_url: str, kind: type[Row]) -> None:
    with psycopg.connect(module_database_url) as connection:
        found = connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position",
            (kind.TABLE,),
        ).fetchall()
        key = connection.execute(
            "SELECT array_agg(attname ORDER BY array_position(indkey::int2[], attnum)) FROM pg_index"
            " JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey)"
            " WHERE indisprimary AND indrelid = %s::regclass",
            (kind.TABLE,),
        ).fetchone()
    assert tuple(name for (name,) in found) == columns(kind)
    assert key == (list(kind.KEY),)
