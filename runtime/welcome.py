"""The output of `convergio up` when everything is ready."""

import json

from domain.agents.names import ALI
from runtime.redaction import without_passwords
from runtime.settings import Settings
from runtime.supervisor.plan import Plan

_QUESTION = {"agent_id": ALI, "message": "What can you do for me?"}


def welcome(plan: Plan, settings: Settings, took_s: float) -> str:
    """Return every URL, and a command to paste."""
    shown = plan.shown()
    width = max(len(label) for label in shown)
    lines = [f"{label:<{width}}  {url}" for label, url in shown.items()]
    return without_passwords(
        "\n".join(["", f"convergio is ready ({took_s:.1f} s)", "", *lines, "", _curl(plan, settings), "", ""])
    )


def _curl(plan: Plan, settings: Settings) -> str:
    key = ' -H "Authorization: Bearer $CONVERGIO_ADMIN_KEY"' if settings.auth_on else ""
    body = json.dumps(_QUESTION)
    return f"curl -s {plan.api.url}/api/v1/agents/chat{key} -H 'Content-Type: application/json' -d '{body}'"
