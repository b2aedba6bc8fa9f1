"""Judges an invoice of sums: each bucket of time, model and key against the sum of its calls in the ledger."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from domain.costs.projection import CallRow
from domain.costs.reconciliation.findings import Amounts, Finding, Outcome, Terms, find_model
from domain.costs.reconciliation.lines import Bucket, InvoiceLine, UnreadableLine

_LENGTHS: Mapping[Bucket, timedelta] = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
_Shape = tuple[Bucket, bool, bool]
"""The length of the buckets, and whether lines name a model and a key."""
_Place = tuple[datetime, str | None, str | None]
"""A bucket's beginning, its model as billed or booked, and its key."""


@dataclass(slots=True)
class _Sum:
    """Amounts that add up; those that no line states stay None."""

    lines: list[int] = field(default_factory=list)
    requests: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: Decimal | None = None
    unknown: int = 0

    def add(self, part: Amounts) -> None:
        for name in ("requests", "prompt_tokens", "completion_tokens", "cost"):
            if (value := getattr(part, name)) is not None:
                setattr(self, name, (getattr(self, name) or 0) + value)

    def amounts(self) -> Amounts:
        return Amounts(self.requests, self.prompt_tokens, self.completion_tokens, self.cost)


class SumJudge:
    """Adds up the lines of each bucket, and then the calls of the ledger, which stream past."""

    def __init__(self, lines: Iterable[InvoiceLine | UnreadableLine], terms: Terms) -> None:
        self._terms = terms
        self._shape: _Shape | None = None
        self._unreadable: list[UnreadableLine] = []
        self._billed: dict[_Place, _Sum] = {}
        self._booked: dict[_Place, _Sum] = {}
        for line in lines:
            self._add(line)

    def _add(self, line: InvoiceLine | UnreadableLine) -> None:
        if isinstance(line, UnreadableLine):
            self._unreadable.append(line)
            return
        if line.at is None or line.per is None:
            self._unreadable.append(UnreadableLine(line.number, "names no sum, and other lines do"))
            return
        shape = line.per, line.model is not None, line.key_id is not None
        self._shape = self._shape or shape
        if shape != self._shape:
            reason = "states another kind of sum (`per`, `model`, `key_id`) than the first line"
            self._unreadable.append(UnreadableLine(line.number, reason))
            return
        model = line.model and (find_model(line.model, self._terms.known_models) or line.model)
        found = self._billed.setdefault((_start_of(line.at, line.per), model, line.key_id), _Sum())
        found.lines.append(line.number)
        found.add(Amounts(line.requests, line.prompt_tokens, line.completion_tokens, line.cost))

    def judge(self, batches: Iterable[Sequence[CallRow]]) -> Iterator[Finding]:
        """Yield a finding for each line that cannot be read, each sum of lines, and each sum that no line states."""
        for line in self._unreadable:
            yield Finding("unreadable", line.number, detail=line.reason)
        for batch in batches:
            for row in batch:
                self._count(row)
        for place in sorted({*self._billed, *self._booked}, key=str):
            yield self._compare(place)

    def _count(self, row: CallRow) -> None:
        if self._shape is None:
            return
        per, has_model, has_key = self._shape
        place = _start_of(row.at, per), row.model if has_model else None, row.key_id if has_key else None
        # calls to models that the invoice need not have still count where it names them
        if not self._terms.covers(row.model) and (not has_model or place not in self._billed):
            return
        if row.state in {"settled", "cut"}:
            part = Amounts(1, row.prompt_tokens, row.completion_tokens, row.cost)
            self._booked.setdefault(place, _Sum()).add(part)
        elif row.state in {"unknown", "reserved"} and place in self._billed:
            self._booked.setdefault(place, _Sum()).unknown += 1

    def _compare(self, place: _Place) -> Finding:
        at, model, key_id = place
        billed, booked = self._billed.get(place, _Sum()), self._booked.get(place, _Sum())
        finding = Finding(
            "matched",
            line=billed.lines[0] if billed.lines else None,
            at=at,
            model=model,
            key_id=key_id,
            billed=billed.amounts(),
            booked=booked.amounts(),
            detail=_describe(billed, booked),
        )
        return replace(finding, outcome=self._judge_place(place, billed, booked))

    def _judge_place(self, place: _Place, billed: _Sum, booked: _Sum) -> Outcome:
        at, model, _ = place
        if billed.lines and not self._terms.has(at):
            return "outside_period"
        if billed.lines and model is not None and find_model(model, self._terms.known_models) is None:
            return "unknown_model"
        if self._shape and at + _LENGTHS[self._shape[0]] > self._terms.judged_before:
            return "not_judged"
        if not billed.lines:
            return "ledger_only"
        if booked.requests is None:
            return "matched" if not any((billed.requests, billed.cost, billed.amounts().tokens)) else "provider_only"
        return self._terms.difference(billed.amounts(), booked.amounts()) or "matched"


def _describe(billed: _Sum, booked: _Sum) -> str | None:
    """Return what else is to be known: several lines in one sum, and attempts whose cost is not known."""
    parts = []
    if len(billed.lines) > 1:
        parts.append(f"the sum of {len(billed.lines)} lines")
    if booked.unknown:
        parts.append(f"{booked.unknown} attempts of the ledger have no known cost")
    return "; ".join(parts) or None


def _start_of(at: datetime, per: Bucket) -> datetime:
    moment = at.astimezone(UTC).replace(second=0, microsecond=0)
    match per:
        case "minute":
            return moment
        case "hour":
            return moment.replace(minute=0)
        case "day":
            return moment.replace(minute=0, hour=0)
