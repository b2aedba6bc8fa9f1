"""The plans of the modes: who speaks when, what they read, and what becomes of it when somebody fails."""

from collections import Counter
from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.message_parts import MessagePart, compose
from domain.swarm.plans import PLANS, partial_result
from domain.swarm.shapes import FINISH, SHAPES
from domain.swarm.task import BY_COORDINATOR, MODES, MemberTurn, Mode, PlannedTurn, SwarmOutcome, SwarmTask
from tests.swarm.plays import CHIEF, MEMBERS, Play, a_task, failing, obvious, play

ORDERS: dict[str, list[str]] = {
    "collaborative": ["answer: ada bea cleo", "revise: ada bea cleo", "integrate: ali"],
    "sequential": ["work: ada", "work: bea", "work: cleo"],
    "parallel": ["answer: ada bea cleo", "integrate: ali"],
    "hierarchical": ["split: ali", "work: ada bea cleo", "integrate: ali"],
    "debate": ["argue: ada bea cleo", "argue: ada bea cleo", "judge: ali"],
    "vote": ["propose: ada bea cleo", "list: ali", "ballot: ada bea cleo"],
    "handoff": ["work: ada", "work: bea", "work: cleo"],
}
RESULTS: dict[str, tuple[str, tuple[str | int, ...]]] = {
    "collaborative": ("coordinator/ali-integrate1", ()),
    "sequential": ("cleo-work1", ()),
    "parallel": ("coordinator/ali-integrate1", ()),
    "hierarchical": ("coordinator/ali-integrate1", ()),
    "debate": ("coordinator/ali-judge1", ()),
    "vote": ("coordinator/ali-list1", ("options", 0)),
    "handoff": ("cleo-work3", ("answer",)),
}
PLANNED = {
    "collaborative": 7,
    "sequential": 3,
    "parallel": 4,
    "hierarchical": 5,
    "debate": 7,
    "vote": 8,
    "handoff": 7,
}


@pytest.mark.parametrize("mode", MODES)
def test_three_members_speak_in_the_order_of_their_mode(mode: str) -> None:
    played = play(a_task(mode))
    assert played.order() == ORDERS[mode]
    assert played.over is not None
    assert (played.over.status, played.over.partial) == ("completed", False)
    assert (played.over.result[0].hash, tuple(played.over.result[0].at)) == RESULTS[mode]


@pytest.mark.parametrize("mode", MODES)
def test_as_many_turns_are_planned_as_there_can_be(mode: Mode) -> None:
    assert PLANS[mode].planned_turns(a_task(mode)) == PLANNED[mode]


def heard(speak: PlannedTurn) -> set[str]:
    """Whose words a message holds, by the hashes."""
    return {part.hash for part in speak.brief if part.hash} - {"task", "context"}


@pytest.mark.parametrize("mode", MODES)
def test_every_message_holds_the_task_and_what_is_known_about_it(mode: str) -> None:
    played = play(a_task(mode, context_hash="context"))
    for speak in played.turns:
        texts = {part.hash: f"<{part.hash}>" for part in speak.brief if part.hash and not part.at}
        readable = [part if not part.at else MessagePart("<inside>") for part in speak.brief]
        text = compose(readable, texts, most=10_000)
        assert "<task>" in text
        assert "<context>" in text


def speaking(played: Play, stage: str, number: int = 1) -> dict[str, set[str]]:
    return {s.member: heard(s) for s in played.turns if s.stage == stage and s.round == number}


def test_parallel_members_do_not_see_each_other_and_the_coordinator_sees_all() -> None:
    played = play(a_task("parallel"))
    assert set().union(*speaking(played, "answer").values()) == set()
    assert speaking(played, "integrate") == {"ali": {"ada-answer1", "bea-answer1", "cleo-answer1"}}


def test_collaborating_members_read_the_others_and_the_coordinator_reads_what_they_revised() -> None:
    played = play(a_task("collaborative"))
    assert speaking(played, "revise")["bea"] == {"ada-answer1", "cleo-answer1"}
    assert speaking(played, "integrate") == {"ali": {"ada-revise1", "bea-revise1", "cleo-revise1"}}


def test_each_of_a_sequence_builds_on_the_last() -> None:
    played = play(a_task("sequential"))
    assert [heard(speak) for speak in played.turns] == [set(), {"ada-work1"}, {"bea-work1"}]


def test_each_of_a_hierarchy_gets_its_own_part() -> None:
    played = play(a_task("hierarchical"), naming=lambda *_: ("cleo", "ada"))
    assert played.order() == ["split: ali", "work: cleo ada", "integrate: ali"]
    assert played.turns[0].options == MEMBERS
    parts = {speak.member: speak.brief[-1].at for speak in played.turns if speak.stage == "work"}
    assert parts == {"cleo": ("parts", 0, "task"), "ada": ("parts", 1, "task")}


@pytest.mark.parametrize("rounds", [1, 3, 5])
def test_a_debate_has_its_rounds_and_each_reads_the_last_one(rounds: int) -> None:
    played = play(a_task("debate", rounds=rounds))
    assert played.order() == ["argue: ada bea cleo"] * rounds + ["judge: ali"]
    assert speaking(played, "argue", 1)["ada"] == set()
    if rounds > 1:
        assert speaking(played, "argue", rounds)["ada"] == {f"bea-argue{rounds - 1}", f"cleo-argue{rounds - 1}"}
    assert len(heard(played.turns[-1])) == 3 * rounds


def choosing(**votes: str) -> Play:
    def naming(speak: PlannedTurn, spoken: tuple[MemberTurn, ...]) -> tuple[str, ...]:
        if speak.stage == "ballot":
            return (votes[speak.member],)
        return ("option_1", "option_2", "option_3") if speak.stage == "list" else obvious(speak, spoken)

    fate = failing(*((member, "ballot") for member in MEMBERS if member not in votes))
    return play(a_task("vote"), fate, naming)


def outcome(over: SwarmOutcome | None) -> str:
    assert over is not None
    return "".join(part.text for part in over.result)


def test_an_option_that_most_members_choose_is_the_outcome() -> None:
    played = choosing(ada="option_2", bea="option_1", cleo="option_2")
    assert played.over is not None
    assert played.over.result[0] == MessagePart(hash="coordinator/ali-list1", at=("options", 1))
    assert "option_2, decided by a majority of the votes. Votes: option_1: 1, option_2: 2, option_3: 0" in outcome(
        played.over
    )


def test_votes_that_are_tied_are_decided_by_the_coordinator_among_those_voted_for() -> None:
    played = choosing(ada="option_1", bea="option_3")
    assert played.order()[-1] == "decide: ali"
    assert played.turns[-1].options == ("option_1", "option_3")
    assert "decided by the coordinator ali, because nobody had a majority" in outcome(played.over)


def test_without_a_quorum_the_coordinator_decides_among_all() -> None:
    played = choosing(cleo="option_3")
    assert played.turns[-1].options == ("option_1", "option_2", "option_3")
    assert "because there was no quorum. Votes: option_1: 0, option_2: 0, option_3: 1; 1 of 3" in outcome(played.over)


def test_two_of_three_are_a_quorum() -> None:
    played = choosing(ada="option_1", cleo="option_1")
    assert played.order()[-1] == "ballot: ada bea cleo"
    assert "by a majority" in outcome(played.over)


def handing(*names: str) -> Play:
    """A handoff in which each turn names the next of these."""
    return play(a_task("handoff"), naming=lambda _, spoken: (names[len(spoken)],))


def test_work_goes_where_it_is_handed_until_somebody_finishes() -> None:
    played = handing("cleo", "ada", FINISH)
    assert played.order() == ["work: ada", "work: cleo", "work: ada"]
    assert heard(played.turns[2]) == {"ada-work1", "cleo-work2"}
    assert played.turns[0].options == ("bea", "cleo", FINISH)


def test_nobody_gets_it_more_than_twice_and_the_last_one_must_finish() -> None:
    played = handing("bea", "ada", "bea", "cleo", "finish")
    assert played.turns[3].options == ("cleo", FINISH)
    assert played.turns[4].options == (FINISH,)
    assert "nobody left to hand it to" in "".join(part.text for part in played.turns[4].brief)


def test_a_chain_that_ends_with_a_failure_is_integrated_by_the_coordinator() -> None:
    played = play(a_task("handoff", ("ada", "bea")), failing(("bea", "work")))
    assert played.order() == ["work: ada", "work: bea", "work: ada"]
    broken = play(a_task("handoff", ("ada", "bea")), lambda _, spoken: "failed" if spoken else "completed")
    assert broken.order() == ["work: ada", "work: bea", "work: ada", "integrate: ali"]


FAILURES: list[tuple[str, tuple[tuple[str, str], ...], list[str], str]] = [
    (
        "collaborative",
        (("bea", "answer"),),
        ["answer: ada bea cleo", "revise: ada cleo", "integrate: ali"],
        "completed",
    ),
    (
        "collaborative",
        (("ada", "answer"), ("bea", "answer")),
        ["answer: ada bea cleo", "integrate: ali"],
        "completed",
    ),
    ("sequential", (("cleo", "work"),), ["work: ada", "work: bea", "work: cleo"], "completed"),
    ("parallel", (("ada", "answer"),), ["answer: ada bea cleo", "integrate: ali"], "completed"),
    ("hierarchical", (("ada", "work"),), ["split: ali", "work: ada bea cleo", "integrate: ali"], "completed"),
    ("hierarchical", (("ali", "split"),), ["split: ali"], "failed"),
    ("debate", (("ada", "argue"),), ["argue: ada bea cleo", "argue: bea cleo", "judge: ali"], "completed"),
    ("debate", (("ada", "argue"), ("bea", "argue")), ["argue: ada bea cleo", "judge: ali"], "completed"),
    ("vote", (("ada", "propose"),), ["propose: ada bea cleo", "list: ali", "ballot: bea cleo"], "completed"),
    ("vote", (("ali", "list"),), ["propose: ada bea cleo", "list: ali"], "failed"),
    ("handoff", (("bea", "work"),), ["work: ada", "work: bea", "work: cleo"], "completed"),
]


@pytest.mark.parametrize(("mode", "failures", "order", "status"), FAILURES)
def test_the_rest_goes_on_where_the_mode_can(
    mode: str, failures: tuple[tuple[str, str], ...], order: list[str], status: str
) -> None:
    played = play(a_task(mode), failing(*failures))
    assert played.order() == order
    assert played.over is not None
    assert played.over.status == status


@pytest.mark.parametrize("mode", MODES)
def test_nobody_left_is_a_failure_without_a_result(mode: str) -> None:
    played = play(a_task(mode), lambda speak, _: "failed" if speak.member in MEMBERS else "completed")
    assert played.over == SwarmOutcome("failed", reason="no member came to an answer")


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode not in {"sequential", "handoff"}])
def test_contributions_stand_as_a_partial_result_when_the_coordinator_fails_in_the_end(mode: str) -> None:
    last = {"integrate", "judge", "decide", "list"}
    played = play(a_task(mode), lambda speak, _: "failed" if speak.stage in last else "completed")
    assert played.over is not None
    assert (played.over.status, played.over.partial) == ("failed", True)
    assert "the coordinator ali failed" in (played.over.reason or "")
    assert [part.text for part in played.over.result if "##" in part.text] == [f"## {m}\n\n" for m in MEMBERS]


def test_the_coordinator_is_told_who_said_nothing() -> None:
    played = play(a_task("parallel"), failing(("bea", "answer")))
    assert "Nothing came from bea." in "".join(part.text for part in played.turns[-1].brief)


def test_what_is_left_of_a_sequence_is_its_last_version() -> None:
    played = play(a_task("sequential"))
    assert partial_result(played.task, played.spoken[:2]) == (MessagePart(hash="bea-work1"),)
    assert partial_result(played.task, ()) == ()


def test_what_is_left_of_the_others_are_the_newest_contributions() -> None:
    played = play(a_task("collaborative"))
    assert [part.hash for part in partial_result(played.task, played.spoken[:4]) if part.hash] == [
        "ada-revise1",
        "bea-answer1",
        "cleo-answer1",
    ]
    assert partial_result(played.task, played.spoken[:0]) == ()


def stages(mode: str) -> Iterator[tuple[str, str]]:
    """Everybody with each stage that the mode can have."""
    possible = {
        "collaborative": ("answer", "revise", "integrate"),
        "sequential": ("work",),
        "parallel": ("answer", "integrate"),
        "hierarchical": ("split", "work", "integrate"),
        "debate": ("argue", "judge"),
        "vote": ("propose", "list", "ballot", "decide"),
        "handoff": ("work", "integrate"),
    }
    for stage in possible[mode]:
        yield from ((who, stage) for who in ((CHIEF,) if stage in BY_COORDINATOR else MEMBERS))


@pytest.mark.parametrize("mode", MODES)
def test_every_subset_of_failures_leads_to_a_defined_end(mode: str) -> None:
    those = list(stages(mode))
    for chosen in product([False, True], repeat=len(those)):
        failures = {who for who, fails in zip(those, chosen, strict=True) if fails}
        check(play(a_task(mode), lambda speak, _, failures=failures: _fate(speak, failures)))  # type: ignore[misc]


def _fate(speak: PlannedTurn, failures: set[tuple[str, str]]) -> str:
    return "failed" if (speak.member, speak.stage) in failures else "completed"


tasks = st.builds(
    a_task,
    st.sampled_from(MODES),
    st.integers(1, 6).map(lambda count: tuple(f"agent_{number}" for number in range(count))),
    rounds=st.integers(1, 5),
    context_hash=st.sampled_from([None, "context"]),
)


@settings(max_examples=400, deadline=None)
@given(tasks, st.data())
def test_a_plan_ends_within_its_turns_whatever_is_said_and_whoever_fails(task: SwarmTask, data: st.DataObject) -> None:
    statuses = st.sampled_from(["completed", "completed", "completed", "failed", "rejected"])

    def naming(speak: PlannedTurn, _: tuple[MemberTurn, ...]) -> tuple[str, ...]:
        if speak.shape == "swarm_split":
            return tuple(data.draw(st.lists(st.sampled_from(speak.options), min_size=1, unique=True)))
        if speak.shape == "swarm_options":
            return tuple(f"option_{n}" for n in range(1, data.draw(st.integers(2, 8)) + 1))
        return (data.draw(st.sampled_from(speak.options)),)

    check(play(task, lambda *_: data.draw(statuses), naming))


def check(played: Play) -> None:
    """What holds for every play."""
    task, plan, over = played.task, PLANS[played.task.mode], played.over
    assert over is not None
    assert len(played.turns) <= plan.planned_turns(task)
    assert max(speak.round for speak in played.turns) <= max(task.rounds, 2 * len(task.members))
    hashes = {one.reply_hash for one in played.spoken} | {None}
    assert {part.hash for part in over.result} <= hashes
    contributed = [one for one in played.spoken if one.status == "completed" and one.stage not in BY_COORDINATOR]
    if over.status == "completed":
        assert (bool(over.result), over.partial, over.reason) == (True, False, None)
    else:
        assert over.reason
        assert over.partial == bool(over.result) == bool(contributed)
    known = {"task", "context"}
    taken: Counter[str] = Counter()
    shapes = {shape.name for shape in SHAPES}
    for batch in played.batches:
        assert len({speak.member for speak in batch}) == len(batch), "nobody speaks twice at once"
        for speak in batch:
            coordinating = speak.stage in BY_COORDINATOR
            assert speak.member in ((task.coordinator,) if coordinating else task.members)
            seat = f"{coordinating}/{speak.member}"
            taken[seat] += 1
            assert speak.stage == plan.stage_of(taken[seat], coordinating=coordinating)
            assert {part.hash for part in speak.brief if part.hash} <= known
            assert speak.shape is None or speak.shape in shapes
        known |= {one.reply_hash or "" for one in played.spoken[: sum(taken.values())]}
    failed = Counter(one.member for one in played.spoken if one.status != "completed")
    assert max(failed.values(), default=0) <= 1 + (task.coordinator in task.members)


def test_a_coordinator_that_is_also_a_member_has_two_seats() -> None:
    for mode in MODES:
        check(play(a_task(mode, (CHIEF, "bea"))))
