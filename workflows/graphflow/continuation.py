"""The progress at the beginning of a run of the workflow, and the state that is carried to the next one."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.graphflow.final_state import state_of
    from activities.graphflow.messages import RunStart
    from domain.graphflow.definition.graph import unpack
    from domain.graphflow.execution.schedule_state import NodeIteration, ScheduleState
    from domain.graphflow.execution.scheduler import Schedule
    from workflows.graphflow.clock import PauseClock
    from workflows.graphflow.event_queue import EventQueue
    from workflows.graphflow.messages import CarriedState, GraphStart
    from workflows.graphflow.progress import RunProgress


def initial_progress(start: GraphStart, begun: RunStart) -> RunProgress:
    """Return the progress of an execution that begins, is reopened, or was carried along by an earlier run."""
    schedule = Schedule(unpack(begun.plan))
    board = RunProgress(schedule, ScheduleState("", "", ()), start.asked.workflow_id)
    if start.carried is not None:
        _restore(board, start.carried)
    elif begun.state is not None:
        board.apply(schedule.reopen(state_of(begun.state)))
        board.attempts |= begun.attempts
        board.completed += [NodeIteration(node, visit) for node, visit in begun.completed]
    else:
        board.apply(schedule.start())
    board.kept.update(begun.kept)
    return board


def completed_progress(start: GraphStart, begun: RunStart) -> RunProgress:
    """Return the progress of a completed execution that is to be undone."""
    return RunProgress(Schedule(unpack(begun.plan)), state_of(begun.state or {}), start.asked.workflow_id)


def carried_state(board: RunProgress, events: EventQueue, clock: PauseClock, *, paused: bool) -> CarriedState:
    """Return the state that the next run of the workflow takes over."""
    return CarriedState(
        state=board.state,
        completed=board.completed,
        attempts=board.attempts,
        skipped=[*board.skipped],
        heard=[*events.heard],
        known_events=[*events.known],
        paused=paused,
        late=clock.current_delays(),
        kept=sorted(board.kept),
    )


def _restore(board: RunProgress, carried: CarriedState) -> None:
    board.state = carried.state
    board.ready.extend(board.schedule.running_nodes(carried.state))
    board.completed += carried.completed
    board.attempts |= carried.attempts
    board.skipped.update(dict.fromkeys(carried.skipped))
    board.kept.update(carried.kept)
