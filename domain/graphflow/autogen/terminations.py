"""The termination conditions of a GraphFlow team, as conditions on edges and one more end node.

AutoGen checks them after each message. Here each edge of a node is taken only while none is true; if no edge is, the
run goes to an extra end node, as an AutoGen team ends normally where no condition leads on.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from domain.graphflow.definition.node_types import LONGEST_EXPRESSION

_ROOM = LONGEST_EXPRESSION // 2
"""Limit, in characters, on the conditions added to an edge's own."""


@dataclass(slots=True)
class Terminations:
    """A limit on the agents' messages, and texts that end the run (`text`, and the sources it counts in; None: all)."""

    most: int | None = None
    texts: list[tuple[str, frozenset[str] | None]] = field(default_factory=list)

    def continue_conditions(self, name: str, said: str, counted: Sequence[str]) -> list[str]:
        """Return the conditions for continuing after `name`'s message.

        `said` is the expression of that message; `counted` are all iterations.
        """
        texts = [text for text, sources in self.texts if sources is None or name in sources]
        found = [f"!{said}.contains({json.dumps(text, ensure_ascii=False)})" for text in texts]
        if self.most is not None and len(count := " + ".join(counted)) < _ROOM:
            found.append(f"{count} < {self.most}")
        return found


def terminations_of(
    config: Mapping[str, Any], kind: Callable[[Any], str], longest: int | None, lost: list[str], notes: list[str]
) -> Terminations:
    """Read the termination conditions; unsupported ones are added to `lost`, changed behaviour to `notes`.

    `longest` is the number of messages that are possible without cycles.
    """
    found = Terminations()
    for condition in _each(config.get("termination_condition"), kind):
        given = condition.get("config")
        given = given if isinstance(given, Mapping) else {}
        match kind(condition):
            case "MaxMessageTermination" if isinstance(most := given.get("max_messages"), int):
                # the task is the first message
                found.most = min(found.most or most, max(1, most - 1))
            case "TextMentionTermination" if isinstance(text := given.get("text"), str) and text:
                sources = given.get("sources")
                named = frozenset(map(str, sources)) if isinstance(sources, list) and sources else None
                found.texts.append((text, named))
                notes.append(f"{text!r} ends the run when an agent says it; the task is not looked at")
            case "StopMessageTermination":
                pass  # no supported agent sends one
            case name:
                lost.append(f"the termination condition {name}")
    if isinstance(turns := config.get("max_turns"), int) and turns > 0:
        found.most = min(found.most or turns, turns)
    if found.most is not None and longest is not None and longest <= found.most:
        found.most = None
    if found.most is not None:
        notes.append(
            f"the run ends after {found.most} messages of agents; those said side by side count once they meet"
        )
    return found


def _each(condition: Any, kind: Callable[[Any], str]) -> Iterator[Mapping[str, Any]]:
    if condition is None:
        return
    if not isinstance(condition, Mapping):
        condition = {}  # a nameless thing
    config = condition.get("config")
    inner = config.get("conditions") if isinstance(config, Mapping) else None
    if kind(condition) == "OrTerminationCondition" and isinstance(inner, list):
        for each in inner:
            yield from _each(each, kind)
    else:
        yield condition
