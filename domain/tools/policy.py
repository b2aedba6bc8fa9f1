"""What a model is told of a call's end."""

MOST_CHARACTERS = 20_000
"""Of one result. What is longer is cut, and says so."""

_MOST_SOURCES = 20
_LONGEST_SOURCE = 500


def told(text: str) -> str:
    """A tool's text as a model gets it: bounded, never empty, without what cannot be stored."""
    text = storable(text)
    if not text.strip():
        return "The tool gave no text."
    if len(text) <= MOST_CHARACTERS:
        return text
    notice = f"\n[cut here: this is the beginning of {len(text):,} characters]"
    return text[: MOST_CHARACTERS - len(notice)] + notice


def storable(text: str) -> str:
    """The text without U+0000 and halves of surrogate pairs."""
    return text.replace("\x00", "").encode(errors="replace").decode()


def named(sources: tuple[str, ...]) -> tuple[str, ...]:
    """What was read, as an event holds it: each once, and not too many."""
    return tuple(dict.fromkeys(storable(source)[:_LONGEST_SOURCE] for source in sources))[:_MOST_SOURCES]


def in_doubt(name: str) -> str:
    """Of a write whose end nobody knows."""
    return (
        f"It is not known whether {name} was carried out: the call broke off. It may have had its effect, so it is not "
        f"tried again. Find out what became of it before you ask for it anew."
    )


def too_slow(name: str, seconds: float) -> str:
    return f"{name} gave no answer within {seconds:g} seconds."


def broken(name: str) -> str:
    """Of a fault of the tool itself, whose words are for the log only."""
    return f"{name} failed because of a fault of its own. The operators can see it in the log."


def cancelled(name: str) -> str:
    return f"{name} was not carried out: the work was stopped."
