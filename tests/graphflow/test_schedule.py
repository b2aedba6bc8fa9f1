"""The schedule: tokens, joins, cycles and failures, by tables and over random graphs."""

import json
import random
from collections.abc import Mapping
from dataclasses import asdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.errors import Conflict
from domain.graphflow.definition.graph import Graph, GraphEdge, GraphNode, pack, unpack
from domain.graphflow.execution.schedule_state import NodeIteration, ScheduleState, ScheduleStep
from domain.graphflow.execution.scheduler import Schedule
from tests.graphflow.graphs import Slow, TooManyVisitsError, choice, drawn, graphs, play

ALWAYS: Mapping[str, list[str]] = {}
THOROUGH = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def ways(graph: Graph, taken: Mapping[str, list[str]]) -> dict[tuple[str, int], frozenset[int]]:
    """For each visit the edges to the nodes named: `{"a": ["b c", "d"]}` takes a -> b and a -> c first, then a -> d."""
    names = [node.id for node in graph.nodes]
    found = {}
    for name, each in taken.items():
        for visit, targets in enumerate(each, 1):
            found[name, visit] = frozenset(
                index
                for index, edge in enumerate(graph.edges)
                if names[edge.source] == name and names[edge.target] in targets.split() and edge.kind != "error"
            )
    return found


def order(graph: Graph, taken: Mapping[str, list[str]], seed: int = 0) -> tuple[list[str], ScheduleStep]:
    """What began, as in `draft#2`, and how it ended. What is not named takes all its edges."""
    chosen = ways(graph, taken)
    names = [node.id for node in graph.nodes]

    def choose(node: int, visit: int) -> frozenset[int]:
        drawn_edges = (i for i, edge in enumerate(graph.edges) if edge.source == node and edge.kind != "error")
        return chosen.get((names[node], visit), frozenset(drawn_edges))

    played = play(graph, choose, seed)
    assert set(played.fired.values()) <= {1}
    return sorted(f"{node}#{visit}" for node, visit in played.fired), played.last


DIAMOND = drawn("a b d", "a c d")
NESTED = drawn("a b d z", "a c d", "b e g d", "b f g", "a y z")
LOOP = drawn("in work check out", "check work")
IN_BRANCH = drawn("a work check done join", "check work", "a other join")
LOOPS = drawn("in outer inner test after out", "test inner", "after outer")


@pytest.mark.parametrize(
    ("graph", "taken", "began", "ends"),
    [
        pytest.param(DIAMOND, ALWAYS, "a#1 b#1 c#1 d#1", "d", id="a diamond joins once"),
        pytest.param(DIAMOND, {"a": ["b"]}, "a#1 b#1 d#1", "d", id="a branch not taken does not hold up the join"),
        pytest.param(DIAMOND, {"b": [""], "c": [""]}, "a#1 b#1 c#1", "", id="a join with dead tokens only is skipped"),
        pytest.param(NESTED, ALWAYS, "a#1 b#1 c#1 d#1 e#1 f#1 g#1 y#1 z#1", "z", id="diamonds in diamonds"),
        pytest.param(NESTED, {"a": ["c"]}, "a#1 c#1 d#1 z#1", "z", id="a whole inner diamond is skipped"),
        pytest.param(NESTED, {"b": ["e"], "e": [""]}, "a#1 b#1 c#1 d#1 e#1 y#1 z#1", "z", id="dead at an inner end"),
        pytest.param(LOOP, {"check": ["work", "work", "out"]},
                     "check#1 check#2 check#3 in#1 out#1 work#1 work#2 work#3", "out", id="a cycle is left"),
        pytest.param(LOOP, {"check": ["out"]}, "check#1 in#1 out#1 work#1", "out", id="a cycle is left at once"),
        pytest.param(LOOP, {"check": ["work out", ""]}, "check#1 check#2 in#1 out#1 work#1 work#2", "out",
                     id="an exit counts once, whenever it is taken"),
        pytest.param(LOOP, {"check": ["work out", "out"]}, "check#1 check#2 in#1 out#1 work#1 work#2", "out",
                     id="an exit taken twice counts once"),
        pytest.param(IN_BRANCH, {"check": ["work", "done"]},
                     "a#1 check#1 check#2 done#1 join#1 other#1 work#1 work#2", "join", id="a cycle in a branch"),
        pytest.param(IN_BRANCH, {"check": ["work", ""]},
                     "a#1 check#1 check#2 join#1 other#1 work#1 work#2", "join", id="a cycle never left is dead"),
        pytest.param(IN_BRANCH, {"a": ["other"]}, "a#1 join#1 other#1", "join", id="a cycle never entered is dead"),
        pytest.param(LOOPS, {"test": ["inner", "after", "after"], "after": ["outer", "out"]},
                     "after#1 after#2 in#1 inner#1 inner#2 inner#3 out#1 outer#1 outer#2 test#1 test#2 test#3", "out",
                     id="a cycle in a cycle"),
        pytest.param(drawn("a b d", "a c d", d={"join": "any"}), ALWAYS, "a#1 b#1 c#1 d#1", "d", id="any begins once"),
        pytest.param(drawn("a b d", "a c d", d={"join": "any"}), {"a": ["c"]}, "a#1 c#1 d#1", "d", id="any of one"),
        pytest.param(drawn("a b d", "a c d", d={"join": "any"}), {"b": [""], "c": [""]}, "a#1 b#1 c#1", "",
                     id="any of none is skipped"),
        pytest.param(drawn("a b e", "a c e", "a d e", e={"join": 2}), ALWAYS, "a#1 b#1 c#1 d#1 e#1", "e", id="2 of 3"),
        pytest.param(drawn("a b e", "a c e", "a d e", e={"join": 2}), {"a": ["b c"]}, "a#1 b#1 c#1 e#1", "e",
                     id="2 of 3, one dead"),
        pytest.param(drawn("a b e", "a c e", "a d e", e={"join": 2}), {"a": ["b"]}, "a#1 b#1", "", id="2 of 1"),
        pytest.param(drawn("a b c", "a x", "x y"), {"a": ["b"]}, "a#1 b#1 c#1", "c", id="a skip goes on"),
        pytest.param(drawn("a a", "a b"), {"a": ["a", "a", "b"]}, "a#1 a#2 a#3 b#1", "b", id="a node repeats itself"),
        pytest.param(drawn("a b a", "b c"), {"b": ["a", "c"]}, "a#1 a#2 b#1 b#2 c#1", "c",
                     id="a cycle that nothing leads to begins at its first node"),
    ],
)  # fmt: skip
def test_what_begins_and_how_it_ends(graph: Graph, taken: Mapping[str, list[str]], began: str, ends: str) -> None:
    for seed in range(20):
        found, last = order(graph, taken, seed)
        assert " ".join(found) == began
        assert last.over is not None
        assert " ".join(last.over.ends) == ends
        assert last.over.status == ("completed" if ends else "failed")


def test_an_end_that_no_condition_leads_to_is_a_failure_that_says_so() -> None:
    over = order(drawn("a b"), {"a": [""]})[1].over
    assert over is not None
    assert (over.status, over.code) == ("failed", "NO_END")


def test_any_begins_before_the_others_have_come() -> None:
    schedule = Schedule(drawn("a b d", "a c d", d={"join": "any"}))
    step = schedule.finish(schedule.start().state, NodeIteration("a", 1), (0, 2))
    step = schedule.finish(step.state, NodeIteration("b", 1), (1,))
    assert step.ready == (NodeIteration("d", 1),)
    step = schedule.finish(step.state, NodeIteration("d", 1), ())
    assert step.over is None  # c is still running
    step = schedule.finish(step.state, NodeIteration("c", 1), (3,))
    assert step.ready == ()
    assert step.over is not None
    assert step.over.ends == ("d",)


def test_n_is_skipped_as_soon_as_it_cannot_be_reached() -> None:
    schedule = Schedule(drawn("a e", "b e", "c e", e={"join": 2}))
    step = schedule.start()
    step = schedule.finish(step.state, NodeIteration("a", 1), ())
    assert step.skipped == ()
    step = schedule.finish(step.state, NodeIteration("b", 1), ())
    assert step.skipped == ("e",)


def test_an_exit_is_taken_at_once_and_is_dead_only_when_the_cycle_rests() -> None:
    schedule = Schedule(LOOP)
    step = schedule.start()
    for node, taken in (("in", (0,)), ("work", (1,)), ("check", (3,))):
        step = schedule.finish(step.state, NodeIteration(node, 1), taken)
        assert step.skipped == ()
    step = schedule.finish(step.state, NodeIteration("work", 2), (1,))
    step = schedule.finish(step.state, NodeIteration("check", 2), ())
    assert step.skipped == ("out",)


def test_a_round_waits_for_all_that_belongs_to_it() -> None:
    graph = Schedule(drawn("in work check work", "work side check2 work", "check out"))
    step = graph.finish(graph.start().state, NodeIteration("in", 1), (0,))
    step = graph.finish(step.state, NodeIteration("work", 1), (1, 3))
    step = graph.finish(step.state, NodeIteration("check", 1), (2,))
    assert step.ready == ()  # side is still running
    step = graph.finish(step.state, NodeIteration("side", 1), (4,))
    step = graph.finish(step.state, NodeIteration("check2", 1), (5,))
    assert step.ready == (NodeIteration("work", 2),)  # once, though two edges lead back


def test_one_visit_too_many_is_a_failure_that_names_the_node() -> None:
    graph = drawn("in work check out", "check work", work={"max_visits": 2})
    began, last = order(graph, {"check": ["work"] * 9})
    assert began == ["check#1", "check#2", "in#1", "work#1", "work#2"]
    assert last.over is not None
    assert (last.over.status, last.over.code, last.over.node) == ("failed", "MAX_VISITS", "work")
    assert "max_visits of 2" in str(last.over.reason)


def test_a_failure_ends_the_run_and_names_the_visit() -> None:
    schedule = Schedule(DIAMOND)
    step = schedule.finish(schedule.start().state, NodeIteration("a", 1), (0, 2))
    step = schedule.fail(step.state, NodeIteration("b", 1), reason="no model")
    assert step.over is not None
    assert (step.over.status, step.over.node, step.over.visit, step.over.reason) == ("failed", "b", 1, "no model")
    assert schedule.statuses(step.state) == {"a": "completed", "b": "failed", "d": "pending", "c": "running"}


def test_a_rejection_is_an_end_of_its_own() -> None:
    schedule = Schedule(DIAMOND)
    step = schedule.fail(schedule.start().state, NodeIteration("a", 1), status="rejected")
    assert step.over is not None
    assert step.over.status == "rejected"


def test_a_failure_that_is_to_be_continued_takes_edges() -> None:
    schedule = Schedule(drawn("a b", a={"on_error": "continue"}))
    assert schedule.fail(schedule.start().state, NodeIteration("a", 1), (0,)).ready == (NodeIteration("b", 1),)


def test_an_error_edge_is_taken_on_failure_only() -> None:
    graph = drawn("a b c", "help c", a={"goto": "help"})
    schedule = Schedule(graph)
    started = schedule.start()
    assert started.ready == (NodeIteration("a", 1),)
    well = schedule.finish(started.state, NodeIteration("a", 1), (0,))
    assert (well.ready, well.skipped) == ((NodeIteration("b", 1),), ("help",))
    badly = schedule.fail(started.state, NodeIteration("a", 1))
    assert (badly.ready, badly.skipped) == ((NodeIteration("help", 1),), ("b",))
    last = schedule.finish(badly.state, NodeIteration("help", 1), (2,))
    assert last.ready == (NodeIteration("c", 1),)
    over = schedule.finish(last.state, NodeIteration("c", 1), ()).over
    assert over is not None
    assert over.ends == ("c",)


def test_an_error_edge_back_is_a_cycle() -> None:
    schedule = Schedule(drawn("a b c", b={"goto": "a"}))
    step = schedule.finish(schedule.start().state, NodeIteration("a", 1), (0,))
    step = schedule.fail(step.state, NodeIteration("b", 1))
    assert step.ready == (NodeIteration("a", 2),)
    step = schedule.finish(step.state, NodeIteration("a", 2), (0,))
    step = schedule.finish(step.state, NodeIteration("b", 2), (1,))
    assert step.ready == (NodeIteration("c", 1),)


def test_a_failed_end_that_went_elsewhere_is_not_reached() -> None:
    schedule = Schedule(drawn("a b", "help z", b={"goto": "help"}))
    step = schedule.finish(schedule.start().state, NodeIteration("a", 1), (0,))
    step = schedule.fail(step.state, NodeIteration("b", 1))
    step = schedule.finish(step.state, NodeIteration("help", 1), (1,))
    step = schedule.finish(step.state, NodeIteration("z", 1), ())
    assert step.over is not None
    assert step.over.ends == ("z",)


def test_a_failed_run_goes_on_from_what_failed_and_keeps_what_finished_meanwhile() -> None:
    schedule = Schedule(NESTED)
    step = schedule.finish(schedule.start().state, NodeIteration("a", 1), schedule.edges_to_take("a", ()))
    step = schedule.fail(step.state, NodeIteration("c", 1))
    step = schedule.finish(step.state, NodeIteration("b", 1), schedule.edges_to_take("b", ()))
    assert step.ready == ()
    again = schedule.reopen(step.state)
    assert set(again.ready) == {
        NodeIteration("c", 1),
        NodeIteration("e", 1),
        NodeIteration("f", 1),
        NodeIteration("y", 1),
    }
    assert again.over is None


def test_what_is_not_over_or_cannot_go_on_is_not_reopened() -> None:
    schedule = Schedule(drawn("a b"))
    with pytest.raises(Conflict):
        schedule.reopen(schedule.start().state)
    with pytest.raises(Conflict):
        schedule.reopen(schedule.finish(schedule.start().state, NodeIteration("a", 1), ()).state)


def test_a_cancelled_run_begins_nothing_new_and_can_go_on() -> None:
    schedule = Schedule(DIAMOND)
    step = schedule.cancel(schedule.start().state)
    assert step.over is not None
    assert step.over.status == "cancelled"
    assert schedule.finish(step.state, NodeIteration("a", 1), (0, 2)).ready == ()
    assert schedule.reopen(step.state).ready == (NodeIteration("a", 1),)


def test_nothing_finishes_twice() -> None:
    schedule = Schedule(DIAMOND)
    step = schedule.finish(schedule.start().state, NodeIteration("a", 1), (0, 2))
    with pytest.raises(Conflict):
        schedule.finish(step.state, NodeIteration("a", 1), (0, 2))
    with pytest.raises(Conflict):
        schedule.finish(step.state, NodeIteration("b", 2), ())


def test_a_node_takes_only_its_own_edges() -> None:
    schedule = Schedule(DIAMOND)
    with pytest.raises(ValueError, match="a has no edges"):
        schedule.finish(schedule.start().state, NodeIteration("a", 1), (1,))


def test_otherwise_is_taken_when_no_other_edge_is() -> None:
    kinds = ("when", "when", "otherwise")
    edges = tuple(GraphEdge(0, to, kind) for to, kind in enumerate(kinds, 1))
    schedule = Schedule(Graph(tuple(GraphNode(name, "transform") for name in "abcd"), edges))
    assert schedule.edges_to_take("a", {0}) == (0,)
    assert schedule.edges_to_take("a", {0, 1}) == (0, 1)
    assert schedule.edges_to_take("a", ()) == (2,)


def test_what_is_undone_comes_latest_first() -> None:
    schedule = Schedule(drawn("a b c", a={"compensate": True}, c={"compensate": True}))
    completed = [NodeIteration("a", 1), NodeIteration("b", 1), NodeIteration("c", 1)]
    assert schedule.nodes_to_compensate(completed) == (NodeIteration("c", 1), NodeIteration("a", 1))


@THOROUGH
@given(graphs(), st.integers(0, 2**32), st.floats(0.3, 1))
def test_any_graph_ends_and_begins_what_the_slow_reading_begins(graph: Graph, seed: int, share: float) -> None:
    choose = choice(graph, seed, share)
    first = play(graph, choose, 0)
    slow = Slow(graph, choose)
    try:
        expected = slow.play()
    except TooManyVisitsError:
        assert first.last.over is not None
        assert first.last.over.code == "MAX_VISITS"
        return
    assert first.fired == expected


@THOROUGH
@given(graphs(), st.integers(0, 2**32), st.integers(0, 2**32))
def test_the_order_in_which_things_finish_changes_nothing(graph: Graph, seed: int, other: int) -> None:
    choose = choice(graph, seed, 0.6)
    one, two = play(graph, choose, 0), play(graph, choose, other)
    assert one.last.over is not None
    assert two.last.over is not None
    if one.last.over.code == "MAX_VISITS":
        assert two.last.over.code == "MAX_VISITS"
    else:
        assert (one.fired, one.last.state, one.skips) == (two.fired, two.last.state, two.skips)


@THOROUGH
@given(graphs(), st.integers(0, 2**32))
def test_nothing_begins_twice_and_what_is_skipped_never_runs(graph: Graph, seed: int) -> None:
    played = play(graph, choice(graph, seed, 0.5), seed)
    assert set(played.fired.values()) <= {1}
    assert "x" in played.last.state.nodes or sum(played.fired.values()) == sum(played.last.state.visits)
    for node, visits in zip(graph.nodes, played.last.state.visits, strict=True):
        assert visits <= node.max_visits
    assert played.last.over is not None


@THOROUGH
@given(graphs(), st.integers(0, 2**32))
def test_a_run_that_failed_and_went_on_begins_the_same_visits(graph: Graph, seed: int) -> None:
    choose = choice(graph, seed, 0.6)
    expected = play(graph, choose, 0)
    chance = random.Random(seed)  # noqa: S311  (no secret)
    schedule = Schedule(graph)
    step = schedule.start()
    fired = {*step.ready}
    tries = 0
    while step.over is None or step.over.code == "NODE_FAILED":
        if step.over:
            if "x" in step.state.nodes:
                return
            tries += 1
            step = schedule.reopen(step.state)
            fired |= {*step.ready}
        running = schedule.running_nodes(step.state)
        visit = running[chance.randrange(len(running))]
        index = next(i for i, node in enumerate(graph.nodes) if node.id == visit.node)
        if tries < 3 and chance.random() < 0.3:
            step = schedule.fail(step.state, visit)
            for other in schedule.running_nodes(step.state)[: chance.randrange(3)]:
                where = next(i for i, node in enumerate(graph.nodes) if node.id == other.node)
                step = schedule.finish(step.state, other, choose(where, other.visit))
        else:
            step = schedule.finish(step.state, visit, choose(index, visit.visit))
        fired |= {*step.ready}
    if expected.last.over is not None and expected.last.over.code != "MAX_VISITS" and step.over.code != "MAX_VISITS":
        assert {(each.node, each.visit) for each in fired} == set(expected.fired)
        assert sum(step.state.visits) == sum(expected.fired.values())


def test_the_largest_graph_is_small_to_carry_and_quick_to_schedule() -> None:
    chance = random.Random(1)  # noqa: S311  (no secret)
    nodes = tuple(GraphNode(f"a_node_{each}", "agent", max_visits=1000) for each in range(500))
    edges = tuple(GraphEdge(*sorted(chance.sample(range(500), 2))) for _ in range(2000))
    graph = Graph(nodes, edges)
    assert unpack(pack(graph)) == graph
    assert len(pack(graph)) < 16 * 1024
    played = play(graph, choice(graph, 1, 0.7), 3)
    assert len(json.dumps(asdict(played.last.state))) < 8 * 1024


def test_a_graph_keeps_what_its_nodes_say_when_it_travels() -> None:
    node = GraphNode("a", "map", 2, 3, "goto", 4, 0.5, 3, 60, compensate=True, more={"parallel": 5})
    graph = Graph((node, GraphNode("b", "agent")), (GraphEdge(0, 1, "when"), GraphEdge(0, 1, "error")))
    assert unpack(pack(graph)) == graph


def test_a_state_is_plain() -> None:
    assert asdict(Schedule(drawn("a b")).start().state) == {"nodes": "r.", "edges": ".", "visits": (1, 0), "over": None}
    assert ScheduleState("r.", ".", (1, 0)) == Schedule(drawn("a b")).start().state
