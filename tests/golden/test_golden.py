"""Events as earlier code wrote them. Lines are added here when an event is new or changes; none is ever edited."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from domain.events import Event
from domain.registry import event_registry

REGISTRY = event_registry()


def _records() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(Path(__file__).parent.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            record = orjson.loads(line)
            yield record["topic"], record["state"]


RECORDS = list(_records())


def _still_there(then: Any, now: Any) -> Any:
    """What is now, without the fields that came later, inside records too."""
    if isinstance(then, dict):
        return {name: _still_there(value, now[name]) for name, value in then.items()}
    if isinstance(then, list) and len(then) == len(now):
        return [_still_there(before, after) for before, after in zip(then, now, strict=True)]
    return now


def _decoded(topic: str, state: dict[str, Any]) -> Event:
    return REGISTRY.decode(topic, orjson.dumps(state))


@pytest.mark.parametrize(("topic", "state"), RECORDS, ids=[topic for topic, _ in RECORDS])
def test_what_earlier_code_wrote_still_loads_with_every_field(topic: str, state: dict[str, Any]) -> None:
    event = _decoded(topic, state)
    written_topic, written = REGISTRY.encode(event)
    if written_topic == topic:
        assert _still_there(state, orjson.loads(written)) == state
    else:  # it came through upcasts, which leave nothing to be guessed
        assert event.model_fields_set == set(type(event).model_fields)


@pytest.mark.parametrize("event", list(REGISTRY), ids=lambda event: event.NAME)
def test_every_version_of_every_event_has_a_golden_record(event: type[Event]) -> None:
    wanted = {f"{event.NAME}/{version}" for version in range(1, event.VERSION + 1)}
    assert wanted <= {topic for topic, _ in RECORDS}


@pytest.mark.parametrize("event", list(REGISTRY), ids=lambda event: event.NAME)
def test_the_newest_golden_record_of_an_event_holds_all_its_fields(event: type[Event]) -> None:
    newest = [state for topic, state in RECORDS if topic == f"{event.NAME}/{event.VERSION}"][-1]
    assert set(newest) == set(event.model_fields)
    assert None not in newest.values()


def test_no_golden_record_is_of_an_event_that_is_gone() -> None:
    assert {topic.partition("/")[0] for topic, _ in RECORDS} == {event.NAME for event in REGISTRY}
