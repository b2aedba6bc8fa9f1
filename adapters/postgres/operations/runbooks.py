"""Queries of runs of runbooks."""

from dataclasses import asdict, fields

from adapters.postgres.ledger.pool import Database
from domain.runbooks.ports import RunbookFilter, RunbookPage, RunbookRunView
from domain.runbooks.projection import RunbookRunRow, RunbookStepRow

_COLUMNS = ", ".join(field.name for field in fields(RunbookRunRow))
_STEP_COLUMNS = ", ".join(field.name for field in fields(RunbookStepRow))
_WANTED = """
    WHERE tenant_id = %(tenant_id)s
      AND (%(runbook_id)s::text IS NULL OR runbook_id = %(runbook_id)s)
      AND (%(status)s::text IS NULL OR status = %(status)s)
"""
_PAGE = f"""
    SELECT {_COLUMNS} FROM runbook_runs {_WANTED}
    ORDER BY requested_at DESC, run_id DESC OFFSET %(skip)s LIMIT %(limit)s
"""  # noqa: S608  (column names)
_TOTAL = f"SELECT count(*) FROM runbook_runs {_WANTED}"  # noqa: S608  (the same)
_GET = f"SELECT {_COLUMNS} FROM runbook_runs WHERE tenant_id = %s AND run_id = %s"  # noqa: S608  (the same)
_STEPS = f"""
    SELECT {_STEP_COLUMNS} FROM runbook_steps WHERE run_id = %s ORDER BY started_at, step
"""  # noqa: S608  (the same)
_RUNNING = "SELECT run_id FROM runbook_runs WHERE ended_at IS NULL ORDER BY requested_at, run_id LIMIT %s"


class PostgresRunbooks:
    """`domain.runbooks.ports.RunbookReads` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, wanted: RunbookFilter, *, skip: int, limit: int) -> RunbookPage:
        parameters = asdict(wanted)
        with self._database.connection() as connection:
            rows = connection.execute(_PAGE.encode(), {**parameters, "skip": skip, "limit": limit}, prepare=True)
            found = [RunbookRunRow(*row) for row in rows]
            total = connection.execute(_TOTAL.encode(), parameters, prepare=True).fetchone()
        return RunbookPage(found, total[0] if total else 0)

    def get(self, tenant_id: str, run_id: str) -> RunbookRunView | None:
        with self._database.connection() as connection:
            row = connection.execute(_GET.encode(), (tenant_id, run_id), prepare=True).fetchone()
            if row is None:
                return None
            steps = [RunbookStepRow(*each) for each in connection.execute(_STEPS.encode(), (run_id,), prepare=True)]
        return RunbookRunView(RunbookRunRow(*row), steps)

    def read_running(self, limit: int) -> list[str]:
        with self._database.connection() as connection:
            return [row[0] for row in connection.execute(_RUNNING, (limit,), prepare=True)]
