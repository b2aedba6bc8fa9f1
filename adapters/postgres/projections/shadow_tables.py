"""Shadow tables: new versions of live tables that a rebuild fills and swaps in."""

from psycopg import sql

from adapters.postgres.ledger.log import Connection

_INDEXES = """
    SELECT relname, indisunique, indisprimary, substring(pg_get_indexdef(indexrelid) FROM ' USING .*') AS shape
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid = to_regclass(%s)
    ORDER BY indisprimary, indisunique, shape, relname
"""


def shadow_name(table: str) -> str:
    return f"{table}__rebuild"


def create_shadow(connection: Connection, table: str) -> None:
    """Create an empty table of the same shape; one that an earlier rebuild left is dropped."""
    drop_shadow(connection, table)
    new = sql.Identifier(shadow_name(table))
    connection.execute(sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(new, sql.Identifier(table)))


def drop_shadow(connection: Connection, table: str) -> None:
    """Drop the shadow table, if it exists."""
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(shadow_name(table))))


def swap_in(connection: Connection, table: str) -> None:
    """Drop the live table, and give its name and the names of its indexes to the shadow table."""
    old, new = sql.Identifier(table), sql.Identifier(shadow_name(table))
    wanted, made = _indexes(connection, table), _indexes(connection, shadow_name(table))
    connection.execute(sql.SQL("DROP TABLE {}").format(old))
    connection.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(new, old))
    for index, known in zip(made, wanted, strict=True):
        connection.execute(sql.SQL("ALTER INDEX {} RENAME TO {}").format(sql.Identifier(index), sql.Identifier(known)))


def _indexes(connection: Connection, table: str) -> list[str]:
    """Return the names of a table's indexes, in an order that only depends on their definitions."""
    return [row[0] for row in connection.execute(_INDEXES, (table,))]
