"""Exports verify offline, and whatever is changed in one is found and named."""

import json
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from tests.fuzz_seed import SEED
from tests.scripted_model import ScriptedModel
from tests.signatures.exported import changed, check, export_of, found, jwks_of
from tests.signatures.test_results import execution, swarm
from tests.system import CHAT, System, until

pytestmark = pytest.mark.asyncio(loop_scope="module")
CHAIN = 4


@dataclass
class Exported:
    """Lines and keys of one export: four turns, an approval, and the end."""

    lines: list[bytes]
    jwks: bytes

    def fields(self, number: int) -> dict[str, Any]:
        return dict(json.loads(self.lines[number - 1]))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def exported(shared: System, model_process: ScriptedModel) -> Exported:
    model_process.reset()
    model_process.script(*({"text": "The same answer."} for _ in range(CHAIN)))
    for number in range(CHAIN - 1):
        assert (await shared.say(f"Question {number}?", "exported")).status_code == 200
    held = (await shared.say("And now?", "exported", require_approval=True)).json()
    decided = await shared.decide(held["approval_id"], "approve", comment="Yes.")
    assert decided.status_code == 200
    await until(lambda: shared.session("exported"), lambda it: it["turns"][-1]["status"] == "completed")
    return Exported(await export_of(shared, "/agents/chat/exported"), jwks_of(shared))


async def test_an_export_verifies(exported: Exported) -> None:
    report = check(exported.lines, exported.jwks)
    assert report.findings == ()
    assert (report.lines, report.erased) == (CHAIN + 1, 0)
    kinds = [exported.fields(number + 1)["kind"] for number in range(len(exported.lines))]
    assert kinds == ["turn"] * CHAIN + ["approval", "end"]
    assert {"turn", "message", "response", "agent_id", "agent_version", "model", "at"} <= exported.fields(1).keys()
    assert {"content_hash", "previous_hash", "signature", "erased"} <= exported.fields(1).keys()


async def test_every_changed_field_of_every_line_is_named(exported: Exported) -> None:
    for number, line in enumerate(exported.lines, 1):
        for field, value in exported.fields(number).items():
            other = value + 1 if type(value) is int else not value if isinstance(value, bool) else f"{value}x"
            tampered = [*exported.lines]
            tampered[number - 1] = changed(line, field, other)
            named = found(check(tampered, exported.jwks))
            assert (number, field) in named, f"{field} of line {number}: {named}"


async def test_every_missing_or_added_field_of_every_line_is_named(exported: Exported) -> None:
    for number, line in enumerate(exported.lines, 1):
        whole = exported.fields(number)
        for field in whole:
            tampered = [*exported.lines]
            less = {name: value for name, value in whole.items() if name != field}
            tampered[number - 1] = json.dumps(less, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
            named = found(check(tampered, exported.jwks))
            expected = {(number, field), (number, "kind")} if field == "kind" else {(number, field)}
            assert named & expected, f"{field} of line {number}: {named}"
        tampered = [*exported.lines]
        tampered[number - 1] = changed(line, "more", "x")
        assert (number, "more") in found(check(tampered, exported.jwks))


async def test_every_changed_byte_is_found_in_its_line(exported: Exported) -> None:
    """Also in white space, in the last character of a signature, in line ends, and where two keys become one."""
    chance = Random(SEED)  # noqa: S311  (it draws bytes to damage)
    for number, line in enumerate(exported.lines, 1):
        for place in range(len(line)):
            tampered = [*exported.lines]
            other = line[:place] + bytes([(line[place] + chance.randrange(1, 256)) % 256]) + line[place + 1 :]
            tampered[number - 1] = other
            report = check(b"".join(tampered).splitlines(keepends=True), exported.jwks)
            assert not report.is_valid, (number, place)
            assert any(finding.line >= number for finding in report.findings), (number, place)


async def test_a_dropped_line_is_found(exported: Exported) -> None:
    for number in range(1, len(exported.lines) + 1):
        report = check([*exported.lines[: number - 1], *exported.lines[number:]], exported.jwks)
        assert not report.is_valid
        if number < CHAIN:
            assert (number, "previous_turn") in found(report), "the turn that followed it says so"
        if number < len(exported.lines):
            assert any("were exported" in finding.words for finding in report.findings)
        else:
            assert [str(finding) for finding in report.findings] == [
                f"line {number}, end: the export has no end: lines may be missing"
            ]


async def test_a_doubled_line_is_found(exported: Exported) -> None:
    for number in range(1, len(exported.lines) + 1):
        report = check([*exported.lines[:number], *exported.lines[number - 1 :]], exported.jwks)
        assert not report.is_valid
        if number <= CHAIN:
            assert (number + 1, "turn") in found(report)


async def test_swapped_lines_are_found(exported: Exported) -> None:
    for number in range(1, len(exported.lines)):
        swapped = [*exported.lines]
        swapped[number - 1], swapped[number] = swapped[number], swapped[number - 1]
        report = check(swapped, exported.jwks)
        assert not report.is_valid
        if number < CHAIN:
            assert (number + 1, "turn") in found(report)


async def test_a_turn_of_another_session_in_its_place_is_found(
    shared: System, exported: Exported, scripted_model: ScriptedModel
) -> None:
    scripted_model.script({"text": "The same answer."}, {"text": "The same answer."})
    for number in range(2):
        await shared.say(f"Question {number}?", "another")
    foreign = await export_of(shared, "/agents/chat/another")
    tampered = [exported.lines[0], foreign[1], *exported.lines[2:]]
    report = check(tampered, exported.jwks)
    assert (len(tampered), "digest") in found(report)


async def test_the_export_is_the_same_each_time(shared: System, exported: Exported) -> None:
    assert await export_of(shared, "/agents/chat/exported") == exported.lines


async def test_what_was_erased_verifies_as_erased(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"text": "A secret."}, {"text": "Another."})
    for said in ("Tell me.", "Go on."):
        await shared.say(said, "to-erase")
    with shared.parts.database.connection() as connection:
        connection.execute("DELETE FROM content WHERE owner = 'to-erase'")
    lines = await export_of(shared, "/agents/chat/to-erase")
    report = check(lines, jwks_of(shared))
    assert report.findings == ()
    assert report.erased == 2
    first = json.loads(lines[0])
    assert (first["message"], first["response"], first["erased"]) == (None, None, True)
    forged = check([changed(lines[0], "response", "Something else."), *lines[1:]], jwks_of(shared))
    assert (1, "response") in found(forged)
    denied = check([changed(lines[0], "erased", False), *lines[1:]], jwks_of(shared))
    assert (1, "erased") in found(denied)


async def test_a_text_that_is_taken_out_of_an_export_counts_as_erased_and_is_found(exported: Exported) -> None:
    line = changed(changed(exported.lines[0], "message", None), "erased", True)
    report = check([line, *exported.lines[1:]], exported.jwks)
    assert found(report) == {(len(exported.lines), "digest")}
    assert report.erased == 1


async def test_an_export_of_a_fork_is_one_chain_with_its_origin(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"text": "One."}, {"text": "Two."}, {"text": "Forked."})
    for _ in range(2):
        await shared.say("Go on.", "origin-of-export")
    fork = (await shared.http.post(f"{CHAT}/origin-of-export/fork", json={"turn": 1})).json()["session_id"]
    await shared.say("Go on.", fork)
    lines = await export_of(shared, f"/agents/chat/{fork}")
    assert check(lines, jwks_of(shared)).findings == ()
    assert [json.loads(line).get("session_id") for line in lines] == ["origin-of-export", fork, None]
    assert (1, "previous_turn") in found(check(lines[1:], jwks_of(shared)))


async def test_a_failed_message_that_is_retried_later_keeps_the_chain(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script({"text": "One."}, {"status": 400}, {"text": "Three."}, {"text": "Two, at last."})
    await shared.say("First.", "retried")
    key = {"Idempotency-Key": "retried-later"}
    assert (await shared.say("Second.", "retried", headers=key)).status_code >= 400
    await shared.say("Third.", "retried")
    assert (await shared.say("Second.", "retried", headers=key)).status_code == 200
    lines = await export_of(shared, "/agents/chat/retried")
    assert [json.loads(line).get("previous_turn") for line in lines[:3]] == [None, 1, 1]
    assert check(lines, jwks_of(shared)).findings == ()


async def test_swarms_and_executions_are_exported_with_their_results(
    shared: System, scripted_model: ScriptedModel
) -> None:
    done, ran = await swarm(shared), await execution(shared, "Exported")
    for path, kinds in (
        (f"/swarm/{done['task_id']}", ["turn", "turn", "turn", "swarm", "end"]),
        (f"/workflows/{ran['workflow_id']}/executions/{ran['execution_id']}", ["turn", "execution", "end"]),
    ):
        lines = await export_of(shared, path)
        assert [json.loads(line)["kind"] for line in lines] == kinds
        assert check(lines, jwks_of(shared)).findings == ()
        for number, line in enumerate(lines, 1):
            for field in json.loads(line).keys() & {"response", "content_hash", "status", "at", "input", "digest"}:
                tampered = [*lines]
                tampered[number - 1] = changed(line, field, "other")
                assert (number, field) in found(check(tampered, jwks_of(shared)))


async def test_what_is_not_there_is_not_exported(shared: System) -> None:
    for path in ("/agents/chat/nobodys", "/swarm/task_nobodys", "/workflows/nothing/executions/exec_nobodys"):
        assert (await shared.http.get(f"/api/v1{path}/export")).status_code == 404
