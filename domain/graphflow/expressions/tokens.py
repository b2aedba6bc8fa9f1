"""Finds the texts and brackets of an expression: enough to find its end, or a `has(…)`."""

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"""
      (?P<text> [bB]?[rR][bB]?(?: \"{3}.*?\"{3} | '{3}.*?'{3} | "[^"\n]*" | '[^'\n]*' )
              | [bB]?(?: \"{3}(?:\\.|[^\\])*?\"{3} | '{3}(?:\\.|[^\\])*?'{3} | "(?:\\.|[^"\\\n])*"
                        | '(?:\\.|[^'\\\n])*' ) )
    | (?P<open> "(?:\\.|[^"\\\n])*+ | '(?:\\.|[^'\\\n])*+ )
    | (?P<comment> //[^\n]* )
    | (?P<word> [A-Za-z_][A-Za-z0-9_]* )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)


def end_of_expression(text: str, start: int) -> int | None:
    """Return the position of the `}}` that ends the expression starting at `start`, or None."""
    depth = 0
    for kind, piece, at in _tokens(text, start):
        if kind == "open" and "}}" in piece and depth == 0:
            return at + piece.index("}}")
        if kind != "other":
            continue
        if piece == "{":
            depth += 1
        elif piece == "}":
            if depth == 0:
                return at if text.startswith("}}", at) else None
            depth -= 1
    return None


def without_tests(expression: str) -> str:
    """Replace each `has(…)` by `true`, keeping all other characters at their positions."""
    out = list(expression)
    waiting: int | None = None  # position of a `has` whose bracket is still to come
    opened: list[int | None] = []  # for each open bracket, the position of the `has` before it
    for kind, piece, at in _tokens(expression, 0):
        if piece == "(":
            opened.append(waiting)
        elif piece == ")" and opened and (begun := opened.pop()) is not None:
            out[begun : at + 1] = "true".ljust(at + 1 - begun)
        if not piece.isspace():
            waiting = at if kind == "word" and piece == "has" and not expression[:at].rstrip().endswith(".") else None
    return "".join(out)


def words_of(expression: str) -> str:
    """Return the expression without its texts and comments, which would only distract from its syntax."""
    return "".join(" " if kind in {"text", "open", "comment"} else piece for kind, piece, _ in _tokens(expression, 0))


def _tokens(text: str, start: int) -> Iterator[tuple[str, str, int]]:
    """Yield kind, text and position of each token. An `open` one is a text without an end, as far as it could go."""
    for match in _TOKEN.finditer(text, start):
        yield str(match.lastgroup), match.group(), match.start()
