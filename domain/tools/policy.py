"""The results of tool calls as models receive them."""

MOST_CHARACTERS = 20_000
"""Limit on one result, in characters. A longer one is cut, with a notice."""

_MOST_SOURCES = 20
_LONGEST_SOURCE = 500


def result_text(text: str) -> str:
    """Return a tool's text as a model receives it: bounded, never empty, storable."""
    text = storable(text)
    if not text.strip():
        return "The tool gave no text."
    if len(text) <= MOST_CHARACTERS:
        return text
    notice = f"\n[cut here: this is the beginning of {len(text):,} characters]"
    return text[: MOST_CHARACTERS - len(notice)] + notice


def storable(text: str) -> str:
    """Remove U+0000 and unpaired surrogates."""
    return text.replace("\x00", "").encode(errors="replace").decode()


def bounded_sources(sources: tuple[str, ...]) -> tuple[str, ...]:
    """Return the sources as an event holds them: each once, bounded in length and number."""
    return tuple(dict.fromkeys(storable(source)[:_LONGEST_SOURCE] for source in sources))[:_MOST_SOURCES]


def in_doubt_text(name: str) -> str:
    """Return the result of a write whose end is unknown."""
    return (
        f"It is not known whether {name} was carried out: the call broke off. It may have had its effect, so it is not "
        f"tried again. Find out what became of it before you ask for it anew."
    )


def timeout_text(name: str, seconds: float) -> str:
    return f"{name} gave no answer within {seconds:g} seconds."


def fault_text(name: str) -> str:
    """Return the result of a tool with a fault of its own, whose details are for the log only."""
    return f"{name} failed because of a fault of its own. The operators can see it in the log."


def cancelled_text(name: str) -> str:
    return f"{name} was not carried out: the work was stopped."
