"""Instructions of approvals: written by the API, read by the activity that executes them."""

from adapters.postgres.ledger.pool import Database
from domain.approvals.instructions import Instruction

_PUT = """
    INSERT INTO approval_instructions (approval_id, tenant_id, hash, body) VALUES (%s, %s, %s, %s)
    ON CONFLICT DO NOTHING
"""
_GET = "SELECT body FROM approval_instructions WHERE approval_id = %s AND hash = %s"


class PostgresInstructions:
    """`domain.approvals.ports.InstructionStore` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, instruction: Instruction) -> str:
        values = (instruction.approval_id, instruction.tenant_id, instruction.hash, instruction.text)
        with self._database.connection() as connection:
            connection.execute(_PUT, values, prepare=True)
        return instruction.hash

    def get(self, approval_id: str, instruction_hash: str) -> Instruction | None:
        with self._database.connection() as connection:
            row = connection.execute(_GET, (approval_id, instruction_hash), prepare=True).fetchone()
        return Instruction.model_validate_json(row[0]) if row else None
