"""Judges an invoice that names calls: each line against its attempt, each attempt against its line."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from domain.costs.projection import CallRow
from domain.costs.reconciliation.findings import Amounts, Finding, Outcome, Terms, find_model
from domain.costs.reconciliation.lines import CallKey, InvoiceLine, UnreadableLine

Lookup = Callable[[Sequence[CallKey]], Mapping[CallKey, CallRow]]
"""Finds attempts of any time."""


class CallJudge:
    """Holds the lines by the calls that they name; the ledger streams past them."""

    def __init__(self, lines: Iterable[InvoiceLine | UnreadableLine], terms: Terms) -> None:
        self._terms = terms
        self._unreadable: list[UnreadableLine] = []
        self._lines: dict[CallKey, list[InvoiceLine]] = {}
        self._excused: set[CallKey] = set()
        for line in lines:
            self._add(line)

    def _add(self, line: InvoiceLine | UnreadableLine) -> None:
        if isinstance(line, UnreadableLine):
            self._unreadable.append(line)
            if line.call is not None:
                self._excused.add(line.call)
        elif line.call is None:
            self._unreadable.append(UnreadableLine(line.number, "names no call, and other lines do"))
        else:
            self._lines.setdefault(line.call, []).append(line)

    def judge(self, batches: Iterable[Sequence[CallRow]], lookup: Lookup) -> Iterator[Finding]:
        """Yield one finding for each line, and for each attempt in the batches that should have a line."""
        for line in self._unreadable:
            yield _with_call(Finding("unreadable", line.number, detail=line.reason), line.call)
        for batch in batches:
            for row in batch:
                yield from self._judge_row(row)
        yield from self._judge_rest(lookup)

    def _judge_row(self, row: CallRow) -> Iterator[Finding]:
        ours, theirs = (row.call_id, row.attempt), row.provider_call_id
        lines = self._lines.pop(ours, [])
        if theirs is not None:
            lines = lines + self._lines.pop(theirs, [])
        if lines:
            first, *others = sorted(lines, key=lambda line: line.number)
            yield self._compare(first, row)
            yield from (_duplicate(line, first, row) for line in others)
        elif ours not in self._excused and theirs not in self._excused:
            yield from self._judge_unnamed(row)

    def _judge_unnamed(self, row: CallRow) -> Iterator[Finding]:
        if row.state == "failed" or not self._terms.covers(row.model):
            return
        if row.state == "reserved" or row.at >= self._terms.judged_before:
            yield _of_row("not_judged", row)
        elif row.state == "unknown":
            yield _of_row("unknown_open", row, detail="the invoice does not name it")
        else:
            yield _of_row("ledger_only", row)

    def _compare(self, line: InvoiceLine, row: CallRow) -> Finding:
        """Return the finding on a line whose attempt is in the period."""
        outcome, detail = self._judge_pair(line, row)
        return replace(_of_row(outcome, row, detail=detail), line=line.number, billed=billed_amounts(line))

    def _judge_pair(self, line: InvoiceLine, row: CallRow) -> tuple[Outcome, str | None]:
        if line.at is not None and not self._terms.has(line.at):
            return "outside_period", "the line's moment lies outside of the period"
        if line.model is not None and find_model(line.model, [row.model]) is None:
            is_known = find_model(line.model, self._terms.known_models) is not None
            return "model_differs" if is_known else "unknown_model", f"billed as {line.model}"
        if row.state == "reserved" or row.at >= self._terms.judged_before:
            return "not_judged", None
        if row.state == "unknown":
            if line.cost is None:
                return "unknown_open", "the line states no cost"
            return ("unknown_charged" if line.cost or line.tokens else "unknown_not_charged"), None
        return self._terms.difference(billed_amounts(line), _booked_amounts(row)) or "matched", None

    def _judge_rest(self, lookup: Lookup) -> Iterator[Finding]:
        """Yield the findings on lines whose attempt is not in the period."""
        elsewhere = lookup(list(self._lines))
        for call, lines in self._lines.items():
            first, *others = lines
            row = elsewhere.get(call)
            yield self._judge_alone(first, row)
            yield from (_duplicate(line, first, row) for line in others)

    def _judge_alone(self, line: InvoiceLine, row: CallRow | None) -> Finding:
        if row is not None:
            detail = "the call was reserved outside of the period"
            return replace(_of_row("outside_period", row, detail=detail), line=line.number, billed=billed_amounts(line))
        finding = _with_call(_of_line("provider_only", line), line.call)
        if line.at is not None and not self._terms.has(line.at):
            return replace(finding, outcome="outside_period", detail="the line's moment lies outside of the period")
        if line.model is not None and find_model(line.model, self._terms.known_models) is None:
            return replace(finding, outcome="unknown_model", detail=f"billed as {line.model}")
        if line.at is not None and line.at >= self._terms.judged_before:
            return replace(finding, outcome="not_judged")
        return finding


def billed_amounts(line: InvoiceLine) -> Amounts:
    """Return the amounts that a line states."""
    return Amounts(line.requests, line.prompt_tokens, line.completion_tokens, line.cost)


def _booked_amounts(row: CallRow) -> Amounts:
    """Return the amounts of an attempt. It is one request."""
    return Amounts(1, row.prompt_tokens, row.completion_tokens, row.cost)


def _of_row(outcome: Outcome, row: CallRow, *, detail: str | None = None) -> Finding:
    return Finding(
        outcome,
        call_id=row.call_id,
        attempt=row.attempt,
        provider_call_id=row.provider_call_id,
        at=row.at,
        model=row.model,
        key_id=row.key_id,
        state=row.state,
        booked=_booked_amounts(row),
        detail=detail,
    )


def _of_line(outcome: Outcome, line: InvoiceLine) -> Finding:
    return Finding(outcome, line.number, at=line.at, model=line.model, key_id=line.key_id, billed=billed_amounts(line))


def _duplicate(line: InvoiceLine, first: InvoiceLine, row: CallRow | None) -> Finding:
    finding = _of_row("duplicate", row) if row else _with_call(_of_line("duplicate", line), line.call)
    return replace(
        finding, line=line.number, billed=billed_amounts(line), detail=f"line {first.number} names the same call"
    )


def _with_call(finding: Finding, call: CallKey | None) -> Finding:
    match call:
        case (call_id, attempt):
            return replace(finding, call_id=call_id, attempt=attempt)
        case str():
            return replace(finding, provider_call_id=call)
        case _:
            return finding
