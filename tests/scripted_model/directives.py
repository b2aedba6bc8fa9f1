"""Directives inside a message: what a test tells the provider without a script."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from json import JSONDecodeError, JSONDecoder
from typing import Any

_NAME = re.compile(r"\[\[\s*([a-z]+)\b\s*")
_TOOL = re.compile(r"([A-Za-z0-9_.:*-]+)\s*")
_PLAIN = re.compile(r"\[\[([^\[\]]*)\]\]")
_END = re.compile(r"\s*\]\]")
_TO_THE_END = re.compile(r"(.*?)\s*\]\]", re.DOTALL)
_SPACE = re.compile(r"\s*")
_JSON = JSONDecoder()


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model is to ask for; `arguments` is text, JSON or not."""

    name: str
    arguments: str = "{}"


def directives(text: str) -> tuple[list[list[str]], str]:
    """The directives a message begins or ends with, as words, and the message without them.

    Those in the middle are text: a summary that quotes a message must not do what the message asked for.
    """
    leading, start = _run(text, _skipped(text, 0))
    rest = text[start:] if _spoken(leading) else text
    if not rest.rstrip().endswith("]]"):
        return _spoken(leading), rest
    for opening in re.finditer(r"\[\[", rest):
        trailing, end = _run(rest, opening.start())
        if _spoken(trailing) and end == len(rest):
            return _spoken([*leading, *trailing]), rest[: opening.start()].rstrip()
    return _spoken(leading), rest


def _spoken(found: list[list[str]]) -> list[list[str]]:
    return [words for words in found if words]


def _skipped(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _run(text: str, at: int) -> tuple[list[list[str]], int]:
    """The directives that follow each other from here on, and where they and the space behind them end."""
    found: list[list[str]] = []
    while one := _one(text, at):
        words, end = one
        found.append(words)
        at = _skipped(text, end)
    return found, at


def _one(text: str, at: int) -> tuple[list[str], int] | None:
    """The directive that begins here, and where it ends. JSON may hold braces and brackets as it likes."""
    name = _NAME.match(text, at)
    if name and name[1] in {"call", "then"}:
        tool = _TOOL.match(text, name.end())
        return _with_json([name[1], tool[1]], text, tool.end(), default="{}") if tool else None
    if name and name[1] == "badcall":
        tool = _TOOL.match(text, name.end())
        return _up_to_the_end([name[1], tool[1]], text, tool.end()) if tool else None
    if name and name[1] == "say":
        is_json = text[name.end() : name.end() + 1] in {"{", "["}
        return (_with_json if is_json else _up_to_the_end)([name[1]], text, name.end())
    plain = _PLAIN.match(text, at)
    return (plain[1].split(), plain.end()) if plain else None


def _with_json(words: list[str], text: str, at: int, default: str = "") -> tuple[list[str], int] | None:
    """The words, and the JSON that follows them as it is written."""
    if end := _END.match(text, at):
        return [*words, default], end.end()
    try:
        _, after = _JSON.raw_decode(text, at)
    except JSONDecodeError:
        return None
    end = _END.match(text, after)
    return ([*words, text[at:after]], end.end()) if end else None


def _up_to_the_end(words: list[str], text: str, at: int) -> tuple[list[str], int] | None:
    match = _TO_THE_END.match(text, at)
    return ([*words, match[1]], match.end()) if match else None


def change(name: str, values: list[str], *, seen: int) -> dict[str, Any]:
    """What one directive changes in the behaviour.

    `[[delay 3]]`, `[[first 0.5]]`, `[[pace 0.1]]` (seconds); `[[tokens 200]]`; `[[empty]]`; `[[nousage]]`;
    `[[say text]]`, `[[say {"json": 1}]]` (the whole answer);
    `[[fail 500]]`, `[[cut 2]]`, `[[hang]]`, `[[garbage]]`. The last four take a number of times at the end: after so
    many requests with this very message they do nothing, as in `[[fail 503 2]]`, `[[cut 2 1]]`, `[[hang 1]]`.
    """
    if name in SECONDS:
        return {SECONDS[name]: float(values[0])}
    arity = {"fail": 1, "cut": 1}.get(name, 0)
    if name in PASSING and len(values) > arity and seen > int(values[arity]):
        return {}
    return COUNTED[name](values)


def rounds(words: Sequence[Sequence[str]]) -> list[tuple[ToolCall, ...]]:
    """The calls that a message asks for, round by round; the next round is made when the one before has its results.

    `[[call NAME {"json": "args"}]]`, several for calls side by side; `[[badcall NAME garbage]]` for arguments that are
    not JSON; `[[then NAME {...}]]` begins another round; `[[again 3]]` makes all of them three times.
    """
    found: list[list[ToolCall]] = [[]]
    times = 1
    for name, *values in words:
        if name == "then":
            found.append([])
        if name in CALLS:
            found[-1].append(ToolCall(*values))
        elif name == "again":
            times = int(values[0])
    return [tuple(calls) for calls in found if calls] * times


CALLS = ("call", "badcall", "then")
SECONDS = {"delay": "delay_s", "first": "first_token_delay_s", "pace": "inter_chunk_delay_s"}
PASSING = ("fail", "cut", "hang", "garbage")
COUNTED: dict[str, Callable[[list[str]], dict[str, Any]]] = {
    "tokens": lambda values: {"tokens": int(values[0])},
    "empty": lambda _: {"empty": True},
    "nousage": lambda _: {"no_usage": True},
    "say": lambda values: {"text": values[0]},
    "fail": lambda values: {"status": int(values[0])},
    "cut": lambda values: {"cut_after_chunks": int(values[0])},
    "hang": lambda _: {"hang": True},
    "garbage": lambda _: {"garbage": "page"},
}
