"""`convergio verify`, and a script with a JOSE library of others, agree on exports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import rfc8785

from activities.signatures.signing_keys import KeyRingReader
from domain.content import content_hash
from domain.errors import Invalid
from domain.signatures.export import ExportedFact, export_lines
from domain.signatures.jwks import parse_jwks
from domain.signatures.statements import AnsweredTurn, PreviousAnswer, canonical
from tests.runtime.test_cli import convergio
from tests.servers import ROOT
from tests.signatures.exported import changed
from tests.signatures.keys import AT, STATEMENT, Deployment

SCRIPT = ROOT / "docs/examples/verify_export.py"
TEXTS = ("Zwölf.", 'Thirteen 🎲 " \\ \t \x1f \x7f \u2028.', "")


class Files:
    """An export of three turns and its keys, as files."""

    def __init__(self, deployment: Deployment, directory: Path) -> None:
        self.export, self.jwks = directory / "export.jsonl", directory / "jwks.json"
        self._deployment, self._directory = deployment, directory
        self.signer = deployment.process()
        self.lines = [*self._lines()]
        self.write(self.lines)

    def _lines(self) -> list[bytes]:
        facts, previous = [], None
        for turn, text in enumerate(TEXTS, 1):
            message = f"Question {turn}"
            fact = AnsweredTurn(
                "default", "a-session", turn, "amy_cfo", 1, "m", content_hash(message), content_hash(text), AT, previous
            )
            signature = self.signer.sign(fact.statement())
            facts.append(ExportedFact(fact, {"message": message, "response": text}, signature))
            previous = PreviousAnswer(turn, content_hash(text))
        exported = export_lines(facts, tenant_id="default", of="session", subject_id="a-session", signer=self.signer)
        return [*exported]

    def write(self, lines: list[bytes]) -> None:
        self.export.write_bytes(b"".join(lines))
        ring = KeyRingReader(self._deployment.ledger).ring()
        self.jwks.write_text(json.dumps({"keys": ring.jwks()}))

    def verify(self) -> tuple[int, str]:
        done = convergio("verify", str(self.export), "--jwks", str(self.jwks), data_dir=self._directory)
        return done.returncode, done.stdout

    def verify_by_script(self) -> tuple[int, str]:
        command = [sys.executable, str(SCRIPT), str(self.export), str(self.jwks)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout


@pytest.fixture
def files(deployment: Deployment, tmp_path: Path) -> Files:
    return Files(deployment, tmp_path)


def test_the_script_is_short_and_imports_nothing_of_ours() -> None:
    text = SCRIPT.read_text()
    assert len(text.splitlines()) <= 40
    assert {line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import", "from"))} == {
        "json",
        "sys",
        "hashlib",
        "joserfc",
    }


def test_a_whole_export_verifies_by_both(files: Files) -> None:
    assert files.verify() == (0, "3 lines verified\n")
    assert files.verify_by_script() == (0, "verified\n")


@pytest.mark.parametrize(
    ("number", "field", "value"),
    [
        (1, "message", "Another question"),
        (2, "response", "Fourteen."),
        (2, "agent_version", 2),
        (3, "previous_hash", "0" * 64),
        (3, "at", "2026-11-28T12:00:00.000000Z"),
        (4, "lines", 4),
        (1, "signature", None),
    ],
)
def test_both_name_a_changed_field(files: Files, number: int, field: str, value: object) -> None:
    lines = [*files.lines]
    lines[number - 1] = changed(lines[number - 1], field, value)
    files.write(lines)
    for code, words in (files.verify(), files.verify_by_script()):
        assert code == 1
        assert f"line {number}, {field}: " in words


@pytest.mark.parametrize("left_out", range(4))
def test_both_miss_a_line(files: Files, left_out: int) -> None:
    files.write([line for place, line in enumerate(files.lines) if place != left_out])
    assert files.verify()[0] == 1
    assert files.verify_by_script()[0] == 1


def test_old_answers_verify_after_a_rotation_and_a_revoked_key_is_named(files: Files) -> None:
    old = files.signer.prepare()
    files.signer.rotate("platform", "a test")
    files.write(files.lines)
    assert files.verify()[0] == files.verify_by_script()[0] == 0
    files.signer.revoke(old, "platform", "a test", AT)
    files.write(files.lines)
    code, words = files.verify()
    assert code == 1
    assert f"line 1, signature: its key was revoked before it was made (key {old})" in words
    code, words = files.verify_by_script()
    assert code == 1
    assert "line 1, signature: its key was revoked" in words


def test_what_cannot_be_checked_is_said(files: Files, tmp_path: Path) -> None:
    for jwks in (tmp_path / "missing.json", files.export):
        done = convergio("verify", str(files.export), "--jwks", str(jwks), data_dir=tmp_path)
        assert done.returncode == 2
        assert done.stderr
    done = convergio("verify", str(files.export), data_dir=tmp_path)
    assert done.stderr.startswith("convergio verify needs --jwks")


def test_garbage_is_no_export(files: Files) -> None:
    for garbage in (b"", b"\n", b"{}\n", b"\xff\xfe\n", b'{"kind":"turn"}\n', b'{"kind":"end"}\n', b"[" * 100_000):
        files.write([garbage])
        assert files.verify()[0] == 1


def test_a_key_under_another_ones_id_is_refused(files: Files) -> None:
    files.signer.rotate("platform", "a test")
    files.write(files.lines)
    document = json.loads(files.jwks.read_text())
    one, other = document["keys"]
    one["x"] = other["x"]
    with pytest.raises(Invalid):
        parse_jwks(json.dumps(document).encode())


def test_statements_are_canonical_json_by_another_implementation() -> None:
    odd = {**STATEMENT, "agent_id": TEXTS[1], "model": 'é\ud7ff\U0010ffff\b\f\n\r\t\x00\x1f/\\"'}
    assert canonical(odd) == rfc8785.dumps(odd)
