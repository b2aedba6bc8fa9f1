"""Runs of runbooks over the API."""

from typing import Any

import httpx

from tests.system import System, until

GOVERNANCE = "/api/v1/governance"
RUNS = f"{GOVERNANCE}/runbooks/runs"
OVER = {"completed", "failed", "rejected", "cancelled"}


async def request(
    system: System, runbook_id: str, *, dry_run: bool = False, headers: dict[str, str] | None = None, **parameters: Any
) -> httpx.Response:
    """Request a run."""
    body = {"parameters": parameters, "dry_run": dry_run}
    path = f"{GOVERNANCE}/runbook/{runbook_id}/execute"
    return await system.http.post(path, json=body, headers=headers or {})


async def ended(system: System, location: str, *, seconds: float = 60, **headers: str) -> dict[str, Any]:
    """The run at this place, once it is over."""
    answer = await until(
        lambda: system.http.get(location, headers=headers),
        lambda answer: answer.status_code == 200 and answer.json()["status"] in OVER,
        seconds=seconds,
    )
    return dict(answer.json())


async def run(system: System, runbook_id: str, *, dry_run: bool = False, **parameters: Any) -> dict[str, Any]:
    """A run of a runbook, once it is over."""
    requested = await request(system, runbook_id, dry_run=dry_run, **parameters)
    assert requested.status_code == 202, requested.text
    return await ended(system, requested.headers["location"])


def results(run: dict[str, Any]) -> dict[str, Any]:
    """The results of the steps, by their names."""
    return {step["name"]: step["result"] for step in run["steps"]}
