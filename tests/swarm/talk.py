"""Speaking with swarms over HTTP, and what the scripted provider answers where a plan reads it."""

from collections.abc import Sequence
from typing import Any

import orjson

from tests.scripted_model import ScriptedModel
from tests.system import System, until

SWARM = "/api/v1/swarm"
ANTONIO, AVA, AMY = MEMBERS = ["antonio_strategy_expert", "ava_analytics_virtuoso", "amy_cfo"]
CHIEF = "ali_chief_of_staff"
OVER = {"completed", "rejected", "failed", "cancelled", "deadline_exceeded", "budget_exceeded"}


async def coordinate(system: System, mode: str = "parallel", **more: Any) -> dict[str, Any]:
    """Start a swarm of three."""
    headers = more.pop("headers", {})
    body = {"task": "Find a way.", "agents": MEMBERS, "coordination_mode": mode, **more}
    response = await system.http.post(f"{SWARM}/coordinate", json=body, headers=headers)
    assert response.status_code == 202, response.text
    assert response.headers["location"] == f"{SWARM}/status/{response.json()['task_id']}"
    return dict(response.json())


async def status(system: System, task_id: str) -> dict[str, Any]:
    response = await system.http.get(f"{SWARM}/status/{task_id}")
    assert response.status_code == 200, response.text
    return dict(response.json())


async def over(system: System, task_id: str, *, seconds: float = 30) -> dict[str, Any]:
    """The status as soon as it is over."""
    return await until(lambda: status(system, task_id), lambda it: it["status"] in OVER, seconds=seconds)


async def done(system: System, mode: str = "parallel", **more: Any) -> dict[str, Any]:
    """A swarm from its start to its end."""
    return await over(system, (await coordinate(system, mode, **more))["task_id"])


async def seats_on_the_bill(system: System, model: ScriptedModel, task_id: str) -> list[str]:
    """Who spoke, in the order in which the provider was asked."""
    calls = {f"{call['call_id']}.{call['attempt']}": call for call in await system.calls(workflow_id=task_id)}
    named = [calls[entry["request_id"]]["session_id"] for entry in model.bill() if entry["request_id"] in calls]
    return [session_id.removeprefix(f"{task_id}/") for session_id in named]


def in_batches(seats: Sequence[str], sizes: Sequence[int]) -> list[set[str]]:
    """The same, cut into those who may speak side by side."""
    assert len(seats) == sum(sizes), seats
    ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
    return [set(seats[end - size : end]) for end, size in zip(ends, sizes, strict=True)]


def said(contains: str, value: Any = None, **more: Any) -> dict[str, Any]:
    """A rule: to a message that holds these words, this is answered, as JSON."""
    text = {} if value is None else {"text": value if isinstance(value, str) else orjson.dumps(value).decode()}
    return {"contains": contains, "times": None, **text, **more}


def splitting(*parts: tuple[str, str]) -> dict[str, Any]:
    return said("Split it into parts", {"parts": [{"member": member, "task": task} for member, task in parts]})


def listing(*options: str) -> dict[str, Any]:
    return said("List the options to vote on", {"options": list(options)})


def voting(member: str, option: str) -> dict[str, Any]:
    """A ballot. Rules are tried in order, so more than one condition is two words of one sentence."""
    return said(f"You are {member}.\n\nThe task:\nFind a way.\n\nIt is decided by a vote. Choose", ballot(option))


def ballot(option: str) -> dict[str, str]:
    return {"reason": "It is the best.", "option": option}


def handing(member: str, answer: str, to: str) -> dict[str, Any]:
    return said(f"You are {member}.", {"answer": answer, "next": to}, times=1)
