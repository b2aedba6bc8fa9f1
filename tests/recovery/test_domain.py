"""What goes on after a restoration, and what does not."""

import re

from domain.recovery.policy import (
    APPROVAL_TYPE,
    FIRING_TYPE,
    LEFT_ALONE,
    WORK_TYPES,
    OpenApproval,
    OpenWork,
    TemporalRun,
    plan_recovery,
)
from tests.servers import ROOT

CHAT = TemporalRun("chat-s", "r1", "chat-s", "AgentChat")
APPROVAL = TemporalRun("approval_1", "r2", "approval_1", "Approval")
HELD = OpenWork("turn", "s#1", "chat-s", waits=True)
ASKED = OpenApproval("approval_1", "chat-s")


def busy(run: TemporalRun, *activities: str) -> TemporalRun:
    return TemporalRun(run.workflow_id, run.run_id, run.root_id, run.type, frozenset(activities or {"think"}))


def woken(run: TemporalRun) -> TemporalRun:
    return TemporalRun(run.workflow_id, run.run_id, run.root_id, run.type, is_woken=True)


def test_a_turn_that_waits_for_an_undecided_approval_goes_on() -> None:
    plan = plan_recovery([CHAT, APPROVAL], [HELD], [ASKED], same_moment=True)
    assert (plan.terminate, plan.fail, plan.withdraw, plan.waiting) == ((), (), (), (HELD,))


def test_an_idle_session_is_left_alone() -> None:
    assert plan_recovery([CHAT], [], [], same_moment=True).terminate == ()


def test_a_turn_in_progress_is_lost_with_its_run() -> None:
    running = OpenWork("turn", "s#1", "chat-s", waits=False)
    for chat in (CHAT, busy(CHAT), woken(CHAT)):
        plan = plan_recovery([chat], [running], [], same_moment=True)
        assert (plan.terminate, plan.fail) == ((chat,), (running,))


def test_a_message_that_had_not_begun_does_not_begin_later() -> None:
    assert plan_recovery([woken(CHAT)], [], [], same_moment=True).terminate == (woken(CHAT),)


def test_a_decision_on_its_way_does_not_let_the_run_go_on() -> None:
    for runs, approval in (
        ([CHAT, woken(APPROVAL)], ASKED),
        ([CHAT, busy(APPROVAL, "carry_out")], ASKED),
        ([CHAT, APPROVAL], OpenApproval("approval_1", "chat-s", is_decided=True)),
        ([CHAT], ASKED),
    ):
        plan = plan_recovery(runs, [HELD], [approval], same_moment=True)
        assert plan.fail == (HELD,)
        assert CHAT in plan.terminate
        assert plan.withdraw == (() if approval.is_decided else (approval,))


def test_the_delivery_of_a_webhook_decides_nothing() -> None:
    plan = plan_recovery([CHAT, busy(APPROVAL, "deliver_webhook")], [HELD], [ASKED], same_moment=True)
    assert plan.waiting == (HELD,)


def test_a_tree_of_workflows_stands_and_falls_as_one() -> None:
    graph = TemporalRun("exec_1", "r1", "exec_1", "GraphRun")
    swarm = TemporalRun("task_1", "r2", "exec_1", "Swarm")
    outer = OpenWork("execution", "exec_1", "exec_1", waits=True)
    inner = OpenWork("swarm", "task_1", "task_1", waits=True)
    asked = OpenApproval("approval_1", "task_1")
    assert plan_recovery([graph, swarm, APPROVAL], [outer, inner], [asked], same_moment=True).fail == ()
    plan = plan_recovery([graph, busy(swarm), APPROVAL], [outer, inner], [asked], same_moment=True)
    assert set(plan.fail) == {outer, inner}
    assert set(plan.terminate) == {graph, busy(swarm), APPROVAL}
    assert plan.withdraw == (asked,)


def test_work_without_a_workflow_is_lost() -> None:
    plan = plan_recovery([], [HELD], [ASKED], same_moment=True)
    assert (plan.fail, plan.withdraw) == ((HELD,), (ASKED,))


def test_nothing_goes_on_between_stores_of_different_moments() -> None:
    plan = plan_recovery([CHAT, APPROVAL], [HELD], [ASKED], same_moment=False)
    assert set(plan.terminate) == {CHAT, APPROVAL}
    assert (plan.fail, plan.withdraw, plan.waiting) == ((HELD,), (ASKED,), ())


def test_a_firing_that_has_not_begun_its_work_does_not_begin_it_and_one_that_watches_goes_on() -> None:
    firing = TemporalRun("firing-1", "r1", "firing-1", "ScheduleFiring")
    for starting in (woken(firing), busy(firing, "fire_schedule")):
        assert plan_recovery([starting], [], [], same_moment=True).terminate == (starting,)
    assert plan_recovery([busy(firing, "is_run_over")], [], [], same_moment=True).terminate == ()


def test_erasures_and_reconciliation_are_left_alone() -> None:
    others = [woken(TemporalRun(name, "r", name, name)) for name in sorted(LEFT_ALONE)]
    assert plan_recovery(others, [], [], same_moment=False).terminate == ()


def test_every_workflow_is_known_to_the_rules() -> None:
    sources = [path.read_text() for path in (ROOT / "workflows").rglob("*.py")]
    types = {name for text in sources for name in re.findall(r'workflow\.defn\(name="(\w+)"', text)}
    assert types
    assert types <= WORK_TYPES | LEFT_ALONE | {APPROVAL_TYPE, FIRING_TYPE}
