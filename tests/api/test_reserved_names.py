"""Ids that begin like the platform's own are not for callers to name."""

import re
from typing import Any

import pytest

from domain.ids import RESERVED, is_reserved
from tests.scripted_model import ScriptedModel
from tests.servers import ROOT
from tests.system import CHAT, System

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASKING: dict[str, dict[str, Any]] = {
    CHAT: {"agent_id": "ali_chief_of_staff", "message": "Good day."},
    "/api/v1/agents/ali/query": {"query": "Good day?"},
}
_DERIVED = re.compile(r'f"([a-z]+[_-])\{(?:derived_id\(|derived_hex\(|session_id)')
_RANDOM = re.compile(r'random_id\("([a-z]+)"\)')
_NAMED = re.compile(r'^(?:KEY_)?PREFIX = "([a-z]+[_-])"$', re.MULTILINE)
_IN_KEYS = {"change_", "create_", "deploy_", "generate_", "rating_", "r_"}
"""Parts of idempotency keys, which name nothing."""


@pytest.mark.parametrize("path", ASKING)
@pytest.mark.parametrize("prefix", RESERVED)
async def test_no_session_is_named_like_something_of_the_platforms(
    shared: System, scripted_model: ScriptedModel, path: str, prefix: str
) -> None:
    refused = await shared.http.post(path, json={**ASKING[path], "context": {"session_id": f"{prefix}1"}})
    assert refused.status_code == 422
    assert refused.json()["error"]["details"]["field"] == "context.session_id"


@pytest.mark.parametrize("name", ["tasks", "my_task_1", "approvals.1", "session_5", "executive_1", "chat.1"])
async def test_a_name_that_only_resembles_one_is_free(shared: System, scripted_model: ScriptedModel, name: str) -> None:
    answered = await shared.say("Good day.", name)
    assert answered.status_code == 200
    assert answered.json()["session_id"] == name


async def test_every_prefix_by_which_the_platform_names_things_is_reserved() -> None:
    code = "\n".join(
        path.read_text()
        for folder in ("activities", "api", "domain", "workflows")
        for path in (ROOT / folder).rglob("*.py")
    )
    found = {*_DERIVED.findall(code), *(f"{name}_" for name in _RANDOM.findall(code)), *_NAMED.findall(code)}
    assert {"approval_", "exec_", "task_", "workflow_", "chat-", "session_"} <= found
    assert {name for name in found - _IN_KEYS if not is_reserved(name)} == {"session_"}
