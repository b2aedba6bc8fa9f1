"""Exports of the audit: JSON lines of entries, which are not signed one by one, and an end that signs them all."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from domain.signatures.export import encode_line, moment
from domain.signatures.ports import Signer
from domain.signatures.statements import AuditEnd, AuditSelection, timestamp

FIELDS: Mapping[str, type] = {"position": int, "at": str, "kind": str, "subject": str, "by": str, "because": str}
"""The fields of an entry, with their types."""


def audit_lines(
    batches: Iterable[Sequence[Mapping[str, Any]]], selection: AuditSelection, signer: Signer
) -> Iterator[bytes]:
    """Yield the lines of each batch of entries, newest first, with their line ends; the end last."""
    digest, count, newest = sha256(), 0, None
    for batch in batches:
        lines = b"".join(encode_line(entry) + b"\n" for entry in batch)
        digest.update(lines)
        if count == 0 and batch and (at := moment(batch[0]["at"])) is not None:
            newest = timestamp(at)
        count += len(batch)
        yield lines
    end = AuditEnd(selection, count, digest.hexdigest(), newest).statement()
    yield encode_line({**end, "signature": signer.sign(end)}) + b"\n"


@dataclass(slots=True)
class AuditOrder:
    """Checks entries one after another: their form, and that each is older than the one before it."""

    last: tuple[datetime, int] | None = None

    def check(self, fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield each deviation of the next entry: the field, and the deviation in words."""
        for name in fields.keys() - FIELDS.keys():
            yield name, "there is no such field"
        for name, kind in FIELDS.items():
            if name not in fields:
                yield name, "the field is missing"
            elif type(fields[name]) is not kind:
                yield name, "it is not of the type that it has in exports"
        at, position = moment(fields.get("at")), fields.get("position")
        if at is None or at.tzinfo is None:
            yield "at", "it is not a time"
        elif type(position) is int:
            place = (at, position)
            if self.last is not None and place >= self.last:
                yield ("at" if at > self.last[0] else "position"), "it is out of order: the entry before is not newer"
            self.last = place
