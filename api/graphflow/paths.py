"""Paths of the GraphFlow routes."""

from typing import Annotated

from fastapi import Path

PREFIX = "/api/v1/workflows"
WorkflowId = Annotated[str, Path(max_length=128, pattern=r"^[A-Za-z0-9_-]+$")]
