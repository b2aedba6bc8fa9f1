"""Schedules over HTTP, with Temporal's real schedules behind them."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from domain.schedules.definition import MAX_CATCHUP_S, MAX_INTERVAL_S
from tests.schedules.stage import NEVER, OFTEN, PATH, call, chat, fired, history, make
from tests.scripted_model import ScriptedModel
from tests.system import ADMIN_KEY, AGENT, OF_ACME, OF_ZETA, System, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROME = ZoneInfo("Europe/Rome")


async def get(system: System, schedule: dict[str, Any]) -> dict[str, Any]:
    answer = await system.http.get(f"{PATH}/{schedule['id']}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def change(system: System, schedule: dict[str, Any], headers: Any = None, **fields: Any) -> Any:
    return await system.http.put(f"{PATH}/{schedule['id']}", json=fields, headers=headers)


async def test_a_schedule_is_made_read_changed_and_deleted(shared: System) -> None:
    target = chat("Report.", user_id="ada")
    created = await shared.http.post(PATH, json={"name": "Täglich", "target": target, "cron": "30 8 * * mon-fri"})
    made = created.json()
    assert created.status_code == 201, created.text
    assert created.headers["location"] == f"{PATH}/{made['id']}"
    assert (made["name"], made["status"], made["version"], made["timezone"]) == ("Täglich", "active", 1, "UTC")
    assert (made["target_kind"], made["target_id"]) == ("chat", AGENT)
    assert made["target"]["message"] == "Report."
    assert (made["overlap"], made["catchup_window_s"], made["created_by"]) == ("skip", 600, "anonymous")
    assert len(made["next_times"]) == 5
    assert await get(shared, made) == made
    changed = await change(shared, made, {"If-Match": created.headers["etag"]}, every_s=3600, name=None)
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert (changed.json()["cron"], changed.json()["every_s"], changed.json()["name"]) == (None, 3600, None)
    assert changed.json()["target"] == made["target"]
    assert (await change(shared, made, {"If-Match": created.headers["etag"]}, every_s=60)).status_code == 412
    gone = await shared.http.delete(f"{PATH}/{made['id']}", headers={"If-Match": '"2"'})
    assert (gone.status_code, gone.json()) == (200, {"id": made["id"], "status": "deleted"})
    for verb, path in (("GET", ""), ("GET", "/history"), ("PUT", ""), ("DELETE", ""), ("POST", "/trigger")):
        answer = await shared.http.request(verb, f"{PATH}/{made['id']}{path}", json={} if verb == "PUT" else None)
        assert answer.status_code == 404, (verb, path, answer.text)


async def test_schedules_are_listed_newest_first_and_filtered(shared: System) -> None:
    swarm = {"kind": "swarm", "task": "Plan.", "agents": [AGENT]}
    one, other = await make(shared, name="One"), await make(shared, swarm, name="Other", paused=True)
    listed = (await shared.http.get(PATH)).json()
    assert [each["name"] for each in listed["data"][:2]] == ["Other", "One"]
    assert listed["data"][0] == {name: other[name] for name in listed["data"][0]}
    ids = [each["id"] for each in (await shared.http.get(PATH, params={"status": "paused"})).json()["data"]]
    assert other["id"] in ids
    assert one["id"] not in ids
    ids = [each["id"] for each in (await shared.http.get(PATH, params={"target_kind": "chat"})).json()["data"]]
    assert one["id"] in ids
    assert other["id"] not in ids


async def test_the_next_times_follow_the_zone_through_changes_of_the_clock(shared: System) -> None:
    year = datetime.now(UTC).year + 1

    async def next_times(cron: str, start: datetime) -> list[datetime]:
        made = await make(shared, cron=cron, timezone="Europe/Rome", start_at=start.isoformat())
        return [datetime.fromisoformat(time) for time in made["next_times"]]

    spring = max(day for day in (datetime(year, 3, d, tzinfo=UTC) for d in range(25, 32)) if day.weekday() == 6)
    morning = await next_times("0 9 * * *", spring - timedelta(days=2))
    assert [time.astimezone(ROME).hour for time in morning] == [9] * 5
    assert {time.astimezone(UTC).hour for time in morning} == {7, 8}
    skipped = await next_times("30 2 * * *", spring - timedelta(days=1))
    assert spring.date() not in {time.astimezone(ROME).date() for time in skipped}, "02:30 does not exist that day"
    autumn = max(day for day in (datetime(year, 10, d, tzinfo=UTC) for d in range(25, 32)) if day.weekday() == 6)
    doubled = await next_times("30 2 * * *", autumn - timedelta(days=1))
    assert [time.astimezone(ROME).date() for time in doubled].count(autumn.date()) == 1, "02:30 exists twice that day"


async def test_an_interval_is_counted_from_its_start(shared: System) -> None:
    start = datetime(datetime.now(UTC).year + 1, 1, 1, 0, 0, 7, tzinfo=UTC)
    made = await make(shared, every_s=3600, start_at=start.isoformat())
    assert [datetime.fromisoformat(time) for time in made["next_times"][:2]] == [start, start + timedelta(hours=1)]


async def test_a_schedule_fires_by_itself_as_its_maker(shared: System, scripted_model: ScriptedModel) -> None:
    made = await make(shared, headers={"X-API-Key": ADMIN_KEY}, **OFTEN)
    (firing, *_) = await fired(shared, made)
    assert (firing["trigger"], firing["status"], firing["fired_by"]) == ("schedule", "accepted", "key_admin")
    assert firing["run"]["kind"] == "chat"
    session = await until(
        lambda: shared.http.get(firing["run"]["location"]),
        lambda answer: answer.status_code == 200 and answer.json()["turns"][0]["status"] == "completed",
    )
    assert session.json()["turns"][0]["message"] == "Good day."
    calls = await shared.calls(session_id=firing["run"]["id"])
    assert {each["key_id"] for each in calls} == {"key_admin"}
    await shared.http.delete(f"{PATH}/{made['id']}")


async def test_a_paused_schedule_fires_only_by_hand_and_a_deleted_one_no_more(
    shared: System, scripted_model: ScriptedModel
) -> None:
    made = await make(shared, paused=True, **OFTEN)
    assert made["next_times"] == []
    deleted = await make(shared, **OFTEN)
    await shared.http.delete(f"{PATH}/{deleted['id']}")
    triggered = await call(shared, made, "trigger", {"X-Request-ID": "by-hand"})
    assert triggered.status_code == 202
    assert triggered.headers["location"] == f"{PATH}/{made['id']}/history"
    (firing,) = await fired(shared, made)
    assert (firing["id"], firing["trigger"], firing["status"]) == (triggered.json()["id"], "manual", "accepted")
    await asyncio.sleep(12)
    assert len(await history(shared, made)) == 1
    resumed = (await call(shared, made, "resume")).json()
    assert (resumed["status"], len(resumed["next_times"])) == ("active", 5)
    (newest, *_) = await fired(shared, made, 2)
    assert newest["trigger"] == "schedule"
    paused = (await call(shared, made, "pause")).json()
    assert (paused["status"], paused["next_times"], paused["in_force"]) == ("paused", [], True)
    assert (await call(shared, made, "pause")).json()["version"] == paused["version"]
    audit = await shared.http.get("/api/v1/audit", params={"subject": deleted["id"]})
    assert [each["kind"] for each in audit.json()["data"]] == ["schedule.deleted", "schedule.created"]
    found = await shared.http.get("/api/v1/audit", params={"kind": "schedule.fired", "limit": 1000})
    assert deleted["id"] not in {each["because"] for each in found.json()["data"]}


async def test_a_repeated_trigger_fires_once(shared: System, scripted_model: ScriptedModel) -> None:
    made = await make(shared)
    key = {"Idempotency-Key": uuid4().hex}
    ids = {(await call(shared, made, "trigger", key)).json()["id"] for _ in range(3)}
    raced = await asyncio.gather(*(call(shared, made, "trigger") for _ in range(3)))
    ids |= {answer.json()["id"] for answer in raced}
    found = await fired(shared, made, 4)
    assert (len(ids), {firing["id"] for firing in found}) == (4, ids)


async def test_a_repeated_creation_makes_one_schedule(shared: System) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    assert (await make(shared, headers=key))["id"] == (await make(shared, headers=key))["id"]


async def test_swarms_and_workflows_are_started_like_by_the_api(shared: System, scripted_model: ScriptedModel) -> None:
    swarm = await make(shared, {"kind": "swarm", "task": "Plan.", "agents": ["amy_cfo"], "budget_usd": 1.5})
    node = {"id": "told", "type": "transform", "set": {"who": "input.who"}}
    given = {"type": "object", "properties": {"who": {"type": "string"}}, "required": ["who"]}
    drawn = {"name": f"Drawn {uuid4().hex}", "nodes": [node], "edges": [], "input": given}
    workflow_id = (await shared.http.post("/api/v1/workflows", json=drawn)).json()["id"]
    target = {"kind": "workflow", "workflow_id": workflow_id, "input": {"who": "Ada"}}
    workflow = await make(shared, target)
    wrong = await make(shared, {**target, "input": {"who": 7}})
    for schedule in (swarm, workflow, wrong):
        assert (await call(shared, schedule, "trigger")).status_code == 202
    (firing,) = await fired(shared, swarm)
    assert (await shared.http.get(firing["run"]["location"])).json()["task_id"] == firing["run"]["id"]
    (firing,) = await fired(shared, workflow)
    run = await until(
        lambda: shared.http.get(firing["run"]["location"]), lambda answer: answer.json()["status"] == "completed"
    )
    assert run.json()["execution_id"] == firing["run"]["id"]
    (firing,) = await fired(shared, wrong)
    assert (firing["status"], firing["run"], firing["error"]["code"]) == ("refused", None, "VALIDATION_ERROR")
    await shared.http.delete(f"/api/v1/workflows/{workflow_id}")
    await call(shared, workflow, "trigger")
    (firing, _) = await fired(shared, workflow, 2)
    assert firing["error"]["code"] == "CONFLICT"


async def test_refusals_of_messages_stand_in_the_history(shared: System, scripted_model: ScriptedModel) -> None:
    unknown = await make(shared, {**chat(), "agent_id": "nobody"})
    await call(shared, unknown, "trigger")
    (firing,) = await fired(shared, unknown)
    assert firing["error"]["code"] == "NOT_FOUND"
    name = f"daily-{uuid4().hex}"
    ongoing = await make(shared, chat("Again.", session_id=name))
    for count in (1, 2):
        await call(shared, ongoing, "trigger")
        await fired(shared, ongoing, count)
    session = await until(
        lambda: shared.http.get(f"/api/v1/agents/chat/{name}"),
        lambda answer: answer.status_code == 200 and len(answer.json()["turns"]) == 2,
    )
    assert {turn["message"] for turn in session.json()["turns"]} == {"Again."}
    await shared.settled(name)
    assert (await shared.http.delete(f"/api/v1/agents/chat/{name}")).status_code == 200
    await call(shared, ongoing, "trigger")
    (firing, *_) = await fired(shared, ongoing, 3)
    assert (firing["status"], firing["error"]["code"]) == ("refused", "CONFLICT")


async def test_a_time_is_skipped_while_the_last_run_goes_on(shared: System, scripted_model: ScriptedModel) -> None:
    held = {**chat(), "require_approval": True}
    made = await make(shared, held, **OFTEN)
    both = await make(shared, held, overlap="allow_all", **OFTEN)
    await fired(shared, both, 2)
    assert len(await history(shared, made)) == 1
    found = await until(lambda: get(shared, made), lambda seen: seen["skipped"] >= 1, seconds=15)
    assert found["missed"] == 0
    for each in (made, both):
        await shared.http.delete(f"{PATH}/{each['id']}")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"cron": "61 * * * *"}, "cron"),
        ({"cron": "@every 1s"}, "cron"),
        ({"cron": "0 0 30 2 *"}, "cron"),
        ({"cron": "0 0 * * *\0"}, "cron"),
        ({"cron": 5}, "cron"),
        ({**NEVER, "every_s": 60}, "cron"),
        ({}, "cron"),
        ({"every_s": 9}, "every_s"),
        ({"every_s": MAX_INTERVAL_S + 1}, "every_s"),
        ({"every_s": 2**70}, "every_s"),
        ({**NEVER, "timezone": "Mars/Base"}, "timezone"),
        ({**NEVER, "timezone": "Local"}, "timezone"),
        ({**NEVER, "timezone": "localtime"}, "timezone"),
        ({**NEVER, "timezone": "../../etc/passwd"}, "timezone"),
        ({**NEVER, "timezone": ""}, "timezone"),
        ({**NEVER, "start_at": "2026-01-01T00:00:00"}, "start_at"),
        ({**NEVER, "start_at": "0001-01-01T00:00:00Z"}, "start_at"),
        ({**NEVER, "end_at": "9999-12-31T23:59:59Z"}, "end_at"),
        ({**NEVER, "end_at": "2020-01-01T00:00:00Z"}, "end_at"),
        ({**NEVER, "start_at": "2099-01-02T00:00:00Z", "end_at": "2099-01-01T00:00:00Z"}, "end_at"),
        ({**NEVER, "overlap": "cancel_other"}, "overlap"),
        ({**NEVER, "catchup_window_s": 9}, "catchup_window_s"),
        ({**NEVER, "catchup_window_s": MAX_CATCHUP_S + 1}, "catchup_window_s"),
        ({**NEVER, "name": " "}, "name"),
        ({**NEVER, "name": "x" * 201}, "name"),
        ({**NEVER, "paused": "perhaps"}, "paused"),
        ({**NEVER, "surprise": 1}, "surprise"),
        ({**NEVER, "target": {"kind": "nothing"}}, "target"),
        ({**NEVER, "target": {"kind": "runbook"}}, "target.runbook.runbook_id"),
        ({**NEVER, "target": None}, "target"),
        ({**NEVER, "target": {**chat(), "surprise": 1}}, "target.chat.surprise"),
        ({**NEVER, "target": {**chat(), "message": " "}}, "target.chat.message"),
        ({**NEVER, "target": chat(session_id="exec_1")}, "target.chat.context.session_id"),
        ({**NEVER, "target": {"kind": "swarm", "task": "t", "agents": []}}, "target.swarm.agents"),
        ({**NEVER, "target": {"kind": "workflow", "workflow_id": "a/b"}}, "target.workflow.workflow_id"),
    ],
)
async def test_a_bad_field_is_named(shared: System, fields: dict[str, Any], named: str) -> None:
    refused = await shared.http.post(PATH, json={"target": chat(), **fields})
    assert refused.status_code == 422, refused.text
    assert refused.json()["error"]["details"]["field"] == named


async def test_a_change_is_held_to_the_same_rules(shared: System) -> None:
    made = await make(shared)
    for fields in ({"cron": "0 0 1 1 *", "every_s": 60}, {"timezone": "Nowhere"}, {"name": ""}):
        assert (await change(shared, made, **fields)).status_code == 422, fields
    assert (await change(shared, made)).json()["version"] == 1, "nothing differs"
    assert (await change(shared, made, cron=None, timezone=None, overlap=None)).json()["version"] == 1


async def test_of_racing_changes_the_ledgers_last_one_is_in_force(shared: System) -> None:
    made = await make(shared)
    raced = await asyncio.gather(*(change(shared, made, every_s=3600 + n) for n in range(6)))
    assert [answer.status_code for answer in raced] == [200] * 6
    found = await get(shared, made)
    assert (found["version"], found["in_force"]) == (7, True)
    first, second, *_ = (datetime.fromisoformat(time) for time in found["next_times"])
    assert (second - first).total_seconds() == found["every_s"]
    tags = {"If-Match": '"7"'}
    raced = await asyncio.gather(*(change(shared, made, tags, every_s=60 + n) for n in range(4)))
    assert sorted(answer.status_code for answer in raced) == [200, 412, 412, 412]


async def test_two_tenants_see_nothing_of_each_other(shared: System, scripted_model: ScriptedModel) -> None:
    made = await make(shared, chat("Of acme."), OF_ACME, name="Acme's")
    for verb, path in (("GET", ""), ("GET", "/history"), ("PUT", ""), ("DELETE", ""), ("POST", "/trigger")):
        body = {} if verb == "PUT" else None
        answer = await shared.http.request(verb, f"{PATH}/{made['id']}{path}", json=body, headers=OF_ZETA)
        assert answer.status_code == 404, (verb, path)
    for verb in ("pause", "resume"):
        assert (await call(shared, made, verb, OF_ZETA)).status_code == 404
    assert (await shared.http.get(PATH, headers=OF_ZETA)).json()["data"] == []
    await call(shared, made, "trigger", OF_ACME)
    (firing,) = await fired(shared, made, headers=OF_ACME)
    location = firing["run"]["location"]
    await until(lambda: shared.http.get(location, headers=OF_ACME), lambda answer: answer.status_code == 200)
    assert (await shared.http.get(location, headers=OF_ZETA)).status_code == 404
    assert (await shared.http.get(location)).status_code == 404


async def test_neither_events_nor_temporal_hold_the_texts_of_a_schedule(shared: System) -> None:
    mark = uuid4().hex
    made = await make(shared, chat(mark), name=mark)
    described = await shared.temporal.get_schedule_handle(made["id"]).describe()
    assert mark not in repr(described.raw_description)
    with shared.parts.database.connection() as connection:
        found = connection.execute(
            "SELECT count(*) FROM ledger_events WHERE position(%s::bytea IN state) > 0", (mark.encode(),)
        ).fetchone()
    assert found == (0,)
