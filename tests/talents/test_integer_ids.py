"""Integer ids and tenants' secrets, on a real database."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from adapters.postgres.ledger.pool import Database
from adapters.postgres.records.integer_ids import PostgresIntegerIds, PostgresTenantSecrets


@pytest.fixture
def databases(database_url: str) -> Iterator[list[Database]]:
    """Two pools on one database, as two processes have them."""
    pools = [Database(database_url, size=8) for _ in range(2)]
    for pool in pools:
        pool.open()
    yield pools
    for pool in pools:
        pool.close()


def test_two_processes_never_reserve_the_same_id(databases: list[Database]) -> None:
    ids = [PostgresIntegerIds(database) for database in databases]
    sizes = [1 + number % 3 for number in range(200)]
    with ThreadPoolExecutor(16) as threads:
        firsts = list(threads.map(lambda n: ids[n % 2].reserve("acme", "talent", size=sizes[n]), range(200)))
    reserved = [first + n for first, size in zip(firsts, sizes, strict=True) for n in range(size)]
    assert sorted(reserved) == list(range(1, sum(sizes) + 1))


def test_a_key_has_the_same_ids_again_also_under_races(databases: list[Database]) -> None:
    ids = [PostgresIntegerIds(database) for database in databases]
    with ThreadPoolExecutor(16) as threads:
        firsts = set(threads.map(lambda n: ids[n % 2].reserve("acme", "talent", size=5, key="key_1"), range(40)))
    assert len(firsts) == 1
    first = firsts.pop()
    assert ids[0].reserve("acme", "talent", key="key_2") not in range(first, first + 5)


def test_tenants_and_kinds_count_for_themselves(databases: list[Database]) -> None:
    ids = PostgresIntegerIds(databases[0])
    places = [("acme", "talent"), ("acme", "client"), ("zeta", "talent")]
    assert [ids.reserve(*place) for place in places] == [1, 1, 1]
    assert [ids.reserve(*place, key="key_1") for place in places] == [2, 2, 2]


def test_a_secret_is_created_once_for_each_tenant_and_purpose(databases: list[Database]) -> None:
    secrets = [PostgresTenantSecrets(database) for database in databases]
    with ThreadPoolExecutor(16) as threads:
        found = set(threads.map(lambda n: secrets[n % 2].secret("acme", "email"), range(40)))
    assert [len(secret) for secret in found] == [32]
    assert len({*found, secrets[0].secret("zeta", "email"), secrets[0].secret("acme", "other")}) == 3
