"""The servers that the other tests stand on."""

import psycopg
import pytest
from redis import Redis
from temporalio.client import Client

from adapters.postgres.migrate import applied_migrations, known_migrations


@pytest.mark.parametrize("again", [1, 2])
def test_every_test_gets_an_empty_valkey_database(redis_url: str, again: int) -> None:
    with Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("mine", again)


@pytest.mark.parametrize("again", [1, 2])
def test_every_test_gets_a_migrated_database_of_its_own(database_url: str, again: int) -> None:
    assert applied_migrations(database_url) == known_migrations()
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE mine ()")


def test_an_empty_database_has_no_migrations(empty_database_url: str) -> None:
    assert applied_migrations(empty_database_url) == []


async def test_the_temporal_server_answers(temporal_address: str) -> None:
    client = await Client.connect(temporal_address)
    assert [run async for run in client.list_workflows("AgentId = 'nobody'")] == []
