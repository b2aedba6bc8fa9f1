"""Verifies an export offline: each line by its signature, the lines by their chain, and all of them by the end."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson

from domain.signatures.audit_export import AuditOrder
from domain.signatures.export import TEXTS, encode_line, moment
from domain.signatures.jws import FAULTS, Verification

Verify = Callable[[str], Verification]
_END = "end"


@dataclass(frozen=True, slots=True)
class ExportFinding:
    """A deviation of an export from what was signed: line number from 1, field, and the deviation in words."""

    line: int
    field: str
    words: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.field}: {self.words}"


@dataclass(frozen=True, slots=True)
class ExportReport:
    """The result of a verification. `erased` counts the lines with an erased text; they are verified by its hash."""

    findings: tuple[ExportFinding, ...]
    lines: int
    erased: int

    @property
    def is_valid(self) -> bool:
        return not self.findings


@dataclass(slots=True)
class _ChainedTurn:
    line: int
    turn: int
    content_hash: object
    at: datetime | None


@dataclass(slots=True)
class _Chain:
    """The answered turns of one session, in the order of their lines."""

    turns: dict[int, _ChainedTurn] = field(default_factory=dict)
    last: int = 0

    def check(self, number: int, fields: Mapping[str, Any]) -> Iterator[ExportFinding]:
        turn = fields.get("turn")
        if not isinstance(turn, int):
            return
        if turn in self.turns:
            yield ExportFinding(number, "turn", f"turn {turn} is here twice, first in line {self.turns[turn].line}")
            return
        if turn < self.last:
            yield ExportFinding(number, "turn", f"turn {turn} is out of order: it comes after turn {self.last}")
        at = moment(fields.get("at"))
        self.turns[turn] = _ChainedTurn(number, turn, fields.get("content_hash"), at)
        self.last = max(turn, self.last)

    def check_links(self, links: Mapping[int, tuple[object, object]]) -> Iterator[ExportFinding]:
        """Check that each turn follows the last one that had an answer when it was settled."""
        for turn in self.turns.values():
            previous, previous_hash = links[turn.line]
            start = previous if isinstance(previous, int) else 0
            if start and start not in self.turns:
                yield ExportFinding(turn.line, "previous_turn", f"turn {start}, which it follows, is missing")
            elif start and self.turns[start].content_hash != previous_hash:
                yield ExportFinding(turn.line, "previous_hash", f"it is not the content_hash of turn {start}")
            between = [each for each in self.turns.values() if start < each.turn < turn.turn and _precedes(each, turn)]
            if between:
                yield ExportFinding(turn.line, "previous_turn", f"it does not follow turn {between[-1].turn}")


def _precedes(one: _ChainedTurn, other: _ChainedTurn) -> bool:
    """Return True if a turn was settled first. A failed turn that was retried is settled after later turns."""
    return one.at is not None and other.at is not None and one.at <= other.at


def verify_export(lines: Iterable[bytes], verify: Verify) -> ExportReport:
    """Verify the lines of a file, each with its line end."""
    reader = _ExportReader(verify)
    for number, raw in enumerate(lines, 1):
        reader.read_line(number, raw)
    return reader.report()


class _ExportReader:
    def __init__(self, verify: Verify) -> None:
        self._verify = verify
        self._findings: list[ExportFinding] = []
        self._chains: dict[str, _Chain] = {}
        self._links: dict[int, tuple[object, object]] = {}
        self._digest = sha256()
        self._count = 0
        self._erased = 0
        self._end: int | None = None
        self._audit: AuditOrder | None = None

    def report(self) -> ExportReport:
        for chain in self._chains.values():
            self._findings += chain.check_links(self._links)
        if self._end is None:
            self._findings.append(ExportFinding(self._count + 1, _END, "the export has no end: lines may be missing"))
        return ExportReport(tuple(sorted(self._findings, key=lambda each: each.line)), self._count, self._erased)

    def read_line(self, number: int, raw: bytes) -> None:
        if self._end is not None:
            self._add(number, "line", "it comes after the end of the export")
            return
        fields = _parse(raw)
        if fields is None:
            self._add(number, "line", "it is not a JSON object in the form of exports")
        kind = fields.get("kind") if fields else None
        if fields is not None and kind == _END:
            self._end = number
            self._read_end(number, fields)
            return
        self._digest.update(raw)
        self._count += 1
        if fields is None:
            return
        if self._audit is None and self._count == 1 and _is_entry(fields):
            self._audit = AuditOrder()
        if self._audit is not None:
            self._findings += (ExportFinding(number, *deviation) for deviation in self._audit.check(fields))
            return
        if not isinstance(kind, str) or kind not in TEXTS:
            self._add(number, "kind", "there is no such kind of line")
            return
        signed = self._check_signature(number, fields)
        self._check_texts(number, fields, TEXTS[kind])
        if kind == "turn":
            self._add_to_chain(number, {**fields, **signed})

    def _read_end(self, number: int, fields: Mapping[str, Any]) -> None:
        before = len(self._findings)
        signed = {**fields, **self._check_signature(number, fields, more=())}
        if self._count and (signed.get("of") == "audit") is not (self._audit is not None):
            self._add(number, "of", f"it is the end of another export, of {_short(signed.get('of'))}")
        if signed.get("lines") != self._count:
            self._add(number, "lines", f"{signed.get('lines')} lines were exported, and {self._count} are here")
        elif signed.get("digest") != self._digest.hexdigest() and not before:
            self._add(number, "digest", "the bytes of the lines before are not those that were exported")

    def _check_signature(
        self, number: int, fields: Mapping[str, Any], more: tuple[str, ...] = ("erased",)
    ) -> Mapping[str, Any]:
        """Compare a line with what was signed, and return that; nothing if the signature proves nothing."""
        signature = fields.get("signature")
        if not isinstance(signature, str):
            self._add(number, "signature", "it is not signed" if signature is None else FAULTS["malformed"])
            return {}
        verified = self._verify(signature)
        if verified.fault is not None:
            self._add(number, "signature", f"{FAULTS[verified.fault]} (key {verified.key_id or 'not named'})")
        if verified.fault not in {None, "revoked_key"}:
            return {}
        expected = {*verified.statement, *TEXTS.get(str(verified.statement.get("kind")), ()), *more, "signature"}
        for name in [*sorted(expected - fields.keys()), *sorted(fields.keys() - expected)]:
            self._add(number, name, "the field is missing" if name in expected else "there is no such field")
        for name, value in verified.statement.items():
            if name in fields and (fields[name] != value or type(fields[name]) is not type(value)):
                self._add(number, name, f"it is {_short(fields[name])}, and {_short(value)} was signed")
        return verified.statement

    def _check_texts(self, number: int, fields: Mapping[str, Any], texts: Mapping[str, str]) -> None:
        erased = False
        for name, of in texts.items():
            text, expected = fields.get(name), fields.get(of)
            if text is None:
                erased = erased or expected is not None
            elif not isinstance(text, str) or sha256(text.encode(errors="replace")).hexdigest() != expected:
                self._add(number, name, f"it does not have the hash in {of}: it was changed")
        if fields.get("erased") is not erased:
            self._add(number, "erased", "a text is missing" if erased else "no text is missing")
        self._erased += erased

    def _add_to_chain(self, number: int, fields: Mapping[str, Any]) -> None:
        # the turns of a fork lie in several sessions and are one chain; a session nested in a run is one of its own
        session_id = str(fields.get("session_id"))
        chain = self._chains.setdefault(session_id if "/" in session_id else "", _Chain())
        self._links[number] = fields.get("previous_turn"), fields.get("previous_hash")
        self._findings += chain.check(number, fields)

    def _add(self, number: int, name: str, words: str) -> None:
        self._findings.append(ExportFinding(number, name, words))


def _parse(raw: bytes) -> dict[str, Any] | None:
    """Parse a line; None unless it has exactly the form that exports have."""
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return fields if isinstance(fields, dict) and encode_line(fields) + b"\n" == raw else None


def _is_entry(fields: Mapping[str, Any]) -> bool:
    """Return True for an entry of the audit, which is all that an export of it has: events have names with a dot."""
    return "signature" not in fields and "." in str(fields.get("kind"))


def _short(value: object) -> str:
    text = str(value)
    return f"{text[:60]}…" if len(text) > 60 else text  # noqa: PLR2004  (a terminal's line has room for it)
