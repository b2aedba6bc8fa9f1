"""What a tool call may become, whatever happens around it."""

from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.agents.tools import ALIASES, TOOLS, canonical, refuse_unknown
from domain.errors import Invalid
from domain.events import Event
from domain.tools import policy
from domain.tools.aggregate import ToolCall, end, evolve, load, start, stream
from domain.tools.events import Effect, Outcome, ToolEnded, ToolStarted

ABOUT: dict[str, Any] = {
    "by": "key_1",
    "because": "req_1",
    "at": datetime(2026, 11, 1, tzinfo=UTC),
    "tool_call_id": "call_1",
    "session_id": "session_1",
    "turn": 1,
    "step": 1,
    "name": "send_mail",
    "agent_id": "ada",
    "workflow_id": "chat-session_1",
    "arguments_hash": "arguments",
}


def started(attempt: str = "first", effect: Effect = "write") -> ToolStarted:
    return ToolStarted(**ABOUT, effect=effect, attempt=attempt)


def ended(outcome: Outcome = "ok", result_hash: str = "result") -> ToolEnded:
    return ToolEnded(**ABOUT, outcome=outcome, result_hash=result_hash)


DOUBT = ended("unknown", "doubt")


def test_a_call_has_a_stream_of_its_own() -> None:
    assert stream("call_1") == "tool:call_1"


def test_a_call_begins_once() -> None:
    assert start(ToolCall(), started()) == [started()]
    assert start(load([started()]), started("second")) == []


def test_the_try_that_began_a_write_may_run_it_and_no_other() -> None:
    call = load([started("first")])
    assert call.may_run("first")
    assert not call.may_run("second")


def test_a_read_may_run_again() -> None:
    assert load([started("first", "read")]).may_run("second")


def test_what_has_ended_may_not_run() -> None:
    for effect in ("read", "write"):
        assert not load([started("first", effect), ended()]).may_run("first")


def test_the_first_end_stands() -> None:
    assert end(load([started(), ended()]), ended("error", "other"), DOUBT, "first") == []


def test_a_write_that_somebody_else_began_ends_as_unknown() -> None:
    assert end(load([started("first")]), ended("error"), DOUBT, "second") == [DOUBT]
    assert end(load([started("first")]), ended("error"), DOUBT) == [DOUBT]


def test_a_write_that_nobody_began_ends_as_it_is_said() -> None:
    assert end(ToolCall(), ended("refused"), DOUBT) == [ended("refused")]


def test_a_read_ends_as_it_is_said() -> None:
    assert end(load([started("first", "read")]), ended("error"), DOUBT, "second") == [ended("error")]


Step = tuple[Literal["start", "end", "close"], str]


@given(
    st.lists(st.tuples(st.sampled_from(["start", "end", "close"]), st.sampled_from(["a", "b", "c"])), max_size=12),
    st.sampled_from(["read", "write"]),
)
def test_whatever_the_order_a_write_is_run_by_one_try_and_ends_once(steps: list[Step], effect: Effect) -> None:
    events: list[Event] = []
    ran: list[str] = []
    for what, attempt in steps:
        call = load(events)
        if what == "start":
            events += start(call, started(attempt, effect))
            if load(events).may_run(attempt):
                ran.append(attempt)
        elif what == "end" and attempt in ran:
            events += end(call, ended(), DOUBT, attempt)
        else:
            events += end(call, ended("error"), DOUBT)
    assert sum(isinstance(event, ToolStarted) for event in events) <= 1
    ends = [event for event in events if isinstance(event, ToolEnded)]
    assert len(ends) <= 1
    if effect == "write":
        assert len(set(ran)) <= 1
        if ran and ends:  # it may have had its effect, and nobody says that it had none
            assert ends[0].outcome in {"ok", "unknown"}


def test_other_events_only_move_a_calls_version() -> None:
    class Other(Event):
        NAME = "tool.other"

    assert evolve(ToolCall(), Other(by="b", because="c", at=ABOUT["at"])) == ToolCall(version=1)


@given(st.text(alphabet=st.characters(codec=None), max_size=200))
def test_a_result_can_always_be_stored(text: str) -> None:
    told = policy.result_text(text)
    assert told.strip()
    assert "\x00" not in told
    told.encode()


def test_a_long_result_is_cut_and_says_so() -> None:
    told = policy.result_text("x" * 30_000)
    assert len(told) == policy.MOST_CHARACTERS
    assert told.endswith("[cut here: this is the beginning of 30,000 characters]")


def test_sources_are_named_once_and_not_without_end() -> None:
    assert policy.bounded_sources(("a", "b", "a")) == ("a", "b")
    assert len(policy.bounded_sources(tuple(f"document:{n}" for n in range(100)))) == 20
    assert len(policy.bounded_sources(("x" * 9_000,))[0]) == 500


def test_aliases_stand_for_tools_that_are_known_and_each_tool_is_named_once() -> None:
    assert set(ALIASES.values()) <= set(TOOLS)
    assert canonical(["Task", "Read", "delegate", "Write", "query_costs"]) == (
        "delegate",
        "search_knowledge",
        "request_approval",
        "query_costs",
    )
    refuse_unknown(canonical([*ALIASES, *TOOLS]))


@pytest.mark.parametrize("tool", ["files__read", "files__*", "files__a-b_C9"])
def test_tools_of_a_configured_server_are_known(tool: str) -> None:
    refuse_unknown([tool], ("files", "other"))
    with pytest.raises(Invalid, match="unknown: "):
        refuse_unknown([tool])


@pytest.mark.parametrize(
    "tool", ["files__", "files__a b", "files_read", "__read", "files__**", "files__" + "x" * 58, ""]
)
def test_names_that_no_tool_can_have_are_unknown(tool: str) -> None:
    with pytest.raises(Invalid) as refused:
        refuse_unknown([tool], ("files",))
    assert refused.value.details["field"] == "tools"
    assert "files__*" in refused.value.details["reason"]


def test_a_servers_name_may_hold_single_underscores() -> None:
    refuse_unknown(["my_files__read_it"], ("my_files",))
