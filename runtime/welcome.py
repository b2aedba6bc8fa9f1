"""The message of `convergio up` when everything is ready."""

import json

from adapters.local_model import MODEL_NAME
from domain.agents.names import ALI
from runtime.redaction import without_passwords
from runtime.settings import Settings
from runtime.supervisor.plan import ProcessPlan

_QUESTION = {"agent_id": ALI, "message": "What can you do for me?"}


def welcome(plan: ProcessPlan, settings: Settings, took_s: float) -> str:
    """Return every URL, and a command to paste."""
    shown = plan.display_urls()
    width = max(len(label) for label in shown)
    lines = [f"{label:<{width}}  {url}" for label, url in shown.items()]
    said = ["", f"convergio is ready ({took_s:.1f} s)", "", *lines, "", *_better_answers(plan), _curl(plan, settings)]
    return without_passwords("\n".join([*said, "", ""]))


def _better_answers(plan: ProcessPlan) -> list[str]:
    """The ways to a better model, where the one that comes with the platform answers."""
    if plan.environment().get("CONVERGIO_MODEL") != MODEL_NAME:
        return []
    ways = {
        "OPENAI_API_KEY=sk-...": "OpenAI",
        "OPENAI_BASE_URL=http://localhost:11434/v1 CONVERGIO_MODEL=<name>": "Ollama, or any server like it",
        "CONVERGIO_LOCAL_MODEL=/path/to/model.gguf": "a file of your own",
    }
    width = max(map(len, ways))
    intro = f"{MODEL_NAME} is a very small model, which shows that all works. For better answers start with one of:"
    return [intro, *(f"  {variables:<{width}}  {what}" for variables, what in ways.items()), ""]


def _curl(plan: ProcessPlan, settings: Settings) -> str:
    key = ' -H "Authorization: Bearer $CONVERGIO_ADMIN_KEY"' if settings.auth_on else ""
    body = json.dumps(_QUESTION)
    return f"curl -s {plan.api.url}/api/v1/agents/chat{key} -H 'Content-Type: application/json' -d '{body}'"
