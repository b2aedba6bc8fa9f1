"""The rules over unfinished work: open approvals, and long runs."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from domain.ali.findings import Evidence, Insight, Severity, Window, make_insight
from domain.ali.ports import Facts, RunningRun, UsualDuration, WaitingApproval
from domain.ali.thresholds import Thresholds


def stuck_approvals(facts: Facts, thresholds: Thresholds) -> Iterator[Insight]:
    """Yield the approvals that are open for too long."""
    for approval in facts.approvals:
        if stuck := _stuck_insight(approval, facts.now, thresholds):
            yield stuck


def _stuck_insight(approval: WaitingApproval, now: datetime, thresholds: Thresholds) -> Insight | None:
    limits, waited = thresholds.approvals, now - approval.requested_at
    whole = approval.expires_at - approval.requested_at if approval.expires_at else None
    allowed, critical = limits.bound, limits.critical_bound
    if whole is not None:
        allowed = min(allowed, whole * limits.stuck_part)
        critical = min(critical, whole * limits.critical_part)
    allowed = max(allowed, limits.least)
    if waited < allowed:
        return None
    milder: Severity = "info" if approval.risk == "low" else "warning"
    expiry = f"; it expires at {approval.expires_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if approval.expires_at else ""
    waiting = _format_duration(waited)
    return make_insight(
        "stuck_approval",
        f"approval:{approval.approval_id}",
        "critical" if waited >= critical else milder,
        title=f"{approval.approval_id} ({approval.risk} risk) has waited {waiting} for a decision{expiry}",
        evidence=Evidence("waiting_s", _seconds(waited), _seconds(allowed), Window(approval.requested_at, now)),
        now=now,
    )


def slow_runs(facts: Facts, thresholds: Thresholds) -> Iterator[Insight]:
    """Yield the turns and swarms that take far longer than usual."""
    usual = {time.kind: time for time in facts.usual}
    for run in facts.running:
        if slow := _slow_insight(run, usual.get(run.kind), facts.now, thresholds):
            yield slow


def _slow_insight(
    run: RunningRun, usual: UsualDuration | None, now: datetime, thresholds: Thresholds
) -> Insight | None:
    limits, running = thresholds.slowness[run.kind], now - run.since
    known = usual if usual and usual.finished >= limits.least_finished else None
    allowed = limits.bound
    if known:
        allowed = min(allowed, max(limits.least, timedelta(seconds=known.p95_s * limits.ratio)))
    if running < allowed:
        return None
    compared = f"95 % of the {known.finished} finished ones took {known.p95_s:.1f} s at most" if known else ""
    title = f"{_run_name(run)} has been running for {_format_duration(running)}"
    return make_insight(
        "slow_run",
        f"{run.kind}:{run.run_id}",
        "critical" if running >= limits.bound else "warning",
        title=f"{title}; {compared}" if compared else title,
        evidence=Evidence(
            "running_s", _seconds(running), _exactly(known.p95_s) if known else None, Window(run.since, now)
        ),
        now=now,
    )


def _run_name(run: RunningRun) -> str:
    if run.kind == "swarm":
        return f"Swarm {run.run_id}"
    session_id, _, number = run.run_id.rpartition("#")
    return f"Turn {number} of {session_id}"


def _seconds(span: timedelta) -> Decimal:
    return _exactly(span.total_seconds())


def _exactly(seconds: float) -> Decimal:
    return Decimal(str(round(seconds, 3)))


def _format_duration(span: timedelta) -> str:
    """Format a duration for people."""
    seconds = span.total_seconds()
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
