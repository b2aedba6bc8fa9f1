"""Answers that our own records used to refuse, and what callers, books and histories get of them, end to end."""

from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from domain.chat.policy import MOST_FAILURES
from tests.scripted_model import ScriptedModel
from tests.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")

STREAM = {"Content-Type": "text/event-stream"}
WELL = {"choices": [{"delta": {"content": "All is well."}, "finish_reason": "stop"}]}


def saying(*chunks: dict[str, Any] | str, times: int | None = None) -> dict[str, Any]:
    lines = [chunk if isinstance(chunk, str) else orjson.dumps(chunk).decode() for chunk in (*chunks, "[DONE]")]
    return {"raw": "".join(f"data: {line}\n\n" for line in lines), "headers": STREAM, "times": times}


def chunk(text: str = "", finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": text}, "finish_reason": finish}], **fields}


@pytest.mark.parametrize(
    "odd",
    [
        {"id": 12345},
        {"id": "a\x00b"},
        {"id": ["a"]},
        {"model": 7},
        {"model": "m\x00" * 5_000},
        {"usage": {"prompt_tokens": 10**19, "completion_tokens": 1}},
        {"usage": {"prompt_tokens": "1e30", "completion_tokens": 1}},
        {"usage": {"prompt_tokens": 1, "completion_tokens": 2**63}},
        {"usage": {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 10**19}, "completion_tokens": 1}},
    ],
)
async def test_an_odd_field_of_an_answer_costs_one_call_and_no_view(
    shared: System, scripted_model: ScriptedModel, odd: dict[str, Any]
) -> None:
    scripted_model.script(saying({**WELL, **odd}))
    response = await shared.say("How is all?")
    assert response.status_code == 200, response.text
    assert (response.json()["response"], response.json()["finish_reason"]) == ("All is well.", "stop")
    assert len(scripted_model.bill()) == 1
    (call,) = await shared.calls(session_id=response.json()["session_id"])
    assert call["state"] == "settled"
    session = await shared.settled(response.json()["session_id"])
    assert (session["status"], session["turns"][0]["status"]) == ("idle", "completed")
    health = (await shared.http.get("/health")).json()
    assert health["status"] == "healthy", health


async def test_a_wait_without_end_is_not_asked_for_ever(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"status": 429, "headers": {"Retry-After": "1e300"}, "times": None})
    response = await shared.say("How is all?", timeout_s=30)
    assert response.status_code == 502, response.text
    assert len(scripted_model.bill()) <= MOST_FAILURES


ENDS: list[tuple[list[dict[str, Any]], str, str]] = [
    ([chunk("All is"), chunk(finish="length")], "All is", "length"),
    ([chunk("All is"), chunk(finish="SAFETY")], "All is", "content_filter"),
    ([chunk("All is well."), chunk(finish="odd")], "All is well.", "stop"),
    ([{"choices": [{"delta": {"refusal": "I will not."}, "finish_reason": "stop"}]}], "I will not.", "content_filter"),
]


@pytest.mark.parametrize(("chunks", "text", "reason"), ENDS)
async def test_why_an_answer_ended_is_told_with_it_and_with_its_turn(
    shared: System, scripted_model: ScriptedModel, chunks: list[dict[str, Any]], text: str, reason: str
) -> None:
    scripted_model.script(saying(*chunks))
    answer = (await shared.say("How is all?")).json()
    assert (answer["response"], answer["finish_reason"]) == (text, reason)
    (turn,) = (await shared.settled(answer["session_id"]))["turns"]
    assert (turn["response"], turn["finish_reason"]) == (text, reason)


EMPTY = [
    ([{"choices": [{"delta": {"reasoning_content": "Hm."}, "finish_reason": "length"}]}], "used all the tokens"),
    ([chunk(finish="content_filter")], "filter kept the whole answer back"),
    ([chunk(finish="stop")], "empty answer"),
]


@pytest.mark.parametrize(("chunks", "words"), EMPTY)
async def test_an_answer_without_a_word_says_why(
    shared: System, scripted_model: ScriptedModel, chunks: list[dict[str, Any]], words: str
) -> None:
    scripted_model.script(saying(*chunks))
    response = await shared.say("How is all?")
    assert (response.status_code, words in response.text) == (502, True), response.text
    assert len(scripted_model.bill()) == 1, "it was paid for, and would be empty again"


async def test_a_failed_turn_ended_with_an_error(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script(saying(chunk("All is well."), chunk(finish="error")))
    response = await shared.say("How is all?")
    assert response.status_code == 502, response.text
    session = await shared.settled(response.json()["error"]["details"]["session_id"])
    assert [(turn["status"], turn["finish_reason"]) for turn in session["turns"]] == [("failed", "error")]
    calls = await shared.calls(session_id=session["session_id"])
    assert [call["state"] for call in calls] == ["cut"] * MOST_FAILURES, "what arrived is booked"


async def test_the_providers_own_words_are_in_the_log_and_nowhere_else(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script({"status": 400, "error": {"message": "the words of a provider"}, "times": None})
    with capture_logs() as logs:
        response = await shared.say("How is all?")
    assert response.status_code == 502, response.text
    assert "words of a provider" not in response.text
    assert any("words of a provider" in str(line.get("said")) for line in logs if line["event"] == "call failed")
    workflow_id = response.json()["error"]["details"]["workflow_id"]
    history = await shared.temporal.get_workflow_handle(workflow_id).fetch_history()
    assert "words of a provider" not in history.to_json()


async def test_what_breaks_inside_is_told_to_nobody(
    shared: System, scripted_model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("SELECT a secret of ours")

    monkeypatch.setattr("activities.costs.bookkeeping.aggregate.end", broken)
    with capture_logs() as logs:
        response = await shared.say("How is all?")
    assert response.status_code >= 500, response.text
    assert any(line["event"] == "a reply cannot be recorded" for line in logs)
    assert "secret of ours" not in response.text
    assert len(scripted_model.bill()) <= MOST_FAILURES
    details = response.json()["error"]["details"]
    history = await shared.temporal.get_workflow_handle(details["workflow_id"]).fetch_history()
    assert "secret of ours" not in history.to_json()
