"""A talent is erased with all versions of its record and the responses that showed it."""

from uuid import uuid4

import pytest

from tests.erasures.stage import erased, places
from tests.scripted_model import ScriptedModel
from tests.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")
TALENTS = "/api/v1/talents"


async def test_an_erased_talent_leaves_no_text_and_frees_its_address(
    shared: System, scripted_model: ScriptedModel
) -> None:
    mark = f"mark{uuid4().hex}"
    ada = {"name": f"Ada {mark}", "email": f"{mark}@example.com", "skills": [mark]}
    keyed = {"Idempotency-Key": uuid4().hex}
    made = await shared.http.post(TALENTS, json=ada, headers=keyed)
    place = f"{TALENTS}/{made.json()['id']}"
    await shared.http.put(place, json={"bio": f"About {mark}."})
    asked = {"Idempotency-Key": uuid4().hex}
    assert mark in (await shared.http.post(f"{TALENTS}/match", json={"skills": [mark]}, headers=asked)).text
    assert len(await places(shared, mark)) >= 2
    done = await erased(shared, "talent", str(made.json()["id"]))
    assert await places(shared, mark) == []
    assert (done["removed"]["owners"], done["removed"]["texts"]) == (1, 2)
    assert (await shared.http.get(place)).status_code == 404
    repeated = await shared.http.post(TALENTS, json=ada, headers=keyed)
    assert (repeated.json()["id"], mark in repeated.text) == (made.json()["id"], False)
    assert (await shared.http.post(TALENTS, json=ada)).status_code == 201


async def test_erasing_a_talent_twice_completes(shared: System, scripted_model: ScriptedModel) -> None:
    made = await shared.http.post(TALENTS, json={"name": "Bo", "email": f"{uuid4().hex}@example.com"})
    await erased(shared, "talent", str(made.json()["id"]))
    again = await erased(shared, "talent", str(made.json()["id"]))
    assert again["removed"]["texts"] == 0
