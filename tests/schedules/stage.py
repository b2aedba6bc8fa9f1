"""Schedules for tests: bodies, and what has become of their firings."""

from typing import Any

import httpx

from tests.system import AGENT, System, until

PATH = "/api/v1/schedules"
NEVER = {"cron": "0 0 1 1 *"}
"""Times that no test lives to see."""
OFTEN = {"every_s": 10}


def chat(message: str = "Good day.", **context: Any) -> dict[str, Any]:
    return {"kind": "chat", "agent_id": AGENT, "message": message, "context": context}


async def make(
    system: System, target: dict[str, Any] | None = None, headers: Any = None, **more: Any
) -> dict[str, Any]:
    """Create a schedule, which fires on the first of January unless it is told otherwise."""
    times = {} if {"cron", "every_s"} & set(more) else NEVER
    body = {"target": target or chat(), **times, **more}
    answer = await system.http.post(PATH, json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert made["in_force"] is True
    return made


async def call(system: System, schedule: dict[str, Any], verb: str, headers: Any = None) -> httpx.Response:
    return await system.http.post(f"{PATH}/{schedule['id']}/{verb}", headers=headers)


async def history(system: System, schedule: dict[str, Any], headers: Any = None) -> list[dict[str, Any]]:
    answer = await system.http.get(f"{PATH}/{schedule['id']}/history", headers=headers)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def fired(
    system: System, schedule: dict[str, Any], count: int = 1, headers: Any = None, *, seconds: float = 30
) -> list[dict[str, Any]]:
    """The firings, newest first, once there are so many and each has an outcome."""
    return await until(
        lambda: history(system, schedule, headers),
        lambda found: len(found) >= count and all(each["status"] != "starting" for each in found),
        seconds=seconds,
    )
