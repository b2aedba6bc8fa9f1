"""Talents for tests, made over the API."""

from typing import Any
from uuid import uuid4

import httpx

from tests.system import System

TALENTS = "/api/v1/talents"


def an_email() -> str:
    return f"{uuid4().hex[:16]}@example.com"


def a_talent(**changed: Any) -> dict[str, Any]:
    return {"name": "Jane Smith", "email": an_email(), **changed}


async def post(system: System, headers: dict[str, str] | None = None, **changed: Any) -> httpx.Response:
    return await system.http.post(TALENTS, json=a_talent(**changed), headers=headers)


async def made(system: System, headers: dict[str, str] | None = None, **changed: Any) -> dict[str, Any]:
    """A talent that was created."""
    answer = await post(system, headers, **changed)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def imported(system: System, table: str, headers: dict[str, str] | None = None) -> httpx.Response:
    return await system.http.post(
        f"{TALENTS}/import", content=table.encode(), headers={"content-type": "text/csv", **(headers or {})}
    )


def error(answer: httpx.Response) -> tuple[int, str, str | None]:
    body = answer.json()["error"]
    return answer.status_code, body["code"], body["details"].get("field")
