"""Clients as CSV, and back."""

from collections.abc import Iterable, Iterator

from api.clients.schemas import NewClient
from api.tables.csv_tables import MADE, parse_table
from domain.clients.commands import ClientDraft
from domain.clients.ports import ClientView
from domain.clients.profile import FIELDS
from domain.records.bulk_imports import ImportTable
from domain.records.csv_tables import write_csv


def to_csv(clients: Iterable[ClientView]) -> Iterator[str]:
    """Yield the lines of an export, which can be imported again."""
    return write_csv((MADE[0], *FIELDS, "status", *MADE[1:]), (_cells(client) for client in clients))


def _cells(client: ClientView) -> list[object]:
    texts = [getattr(client.profile, name) if client.profile else None for name in FIELDS]
    moments = [moment.isoformat().replace("+00:00", "Z") for moment in (client.created_at, client.updated_at)]
    return [client.id, *texts, client.status, *moments, client.version]


def from_csv(text: str) -> ImportTable[ClientDraft]:
    """Return the rows of a table of clients.

    Raises:
        domain.errors.Invalid: the text is no such table, or has too many rows.
    """
    return parse_table(text, (*FIELDS, "status"), NewClient, NewClient.draft, dict)
