"""Paths of the GraphFlow routes."""

from typing import Annotated

from fastapi import Path

RUN_ID = r"^[A-Za-z0-9_~-]+$"
"""Ids of executions. Those of tenants other than `default` name the tenant."""
PREFIX = "/api/v1/workflows"
WorkflowId = Annotated[str, Path(max_length=128, pattern=r"^[A-Za-z0-9_-]+$")]
