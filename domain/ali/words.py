"""The distinctive words of a text, by their stems."""

import re

_WORD = re.compile(r"[^\W_]+")
_DOUBLED = re.compile(r"([bdfgmnprt])\1\Z")
_LEAST_STEM = 3
_STOP_WORDS = frozenset(
    _WORD.findall("""
    a about after again all also am an and any are as at be because been before being between both but by can could
    did do does doing done down during each few for from further get give had has have having he help her here him his
    how i if in into is it its just let like make may me more most must my need new no not now of off on once one only
    or other our out over own please same she should so some such take than that the their them then there these they
    this those through to too under until up us use using very want was way we well were what when where which while
    who whom whose why will with within without would you your
    """)
)
_ENDINGS = sorted(
    _WORD.findall("""
    ational ation ations ement ements ment ments ity ities ing ings ically ical ics ic ies ied er ers or ors ive ives
    ion ions ial al als is es ed ly s y e
    """),
    key=lambda ending: (-len(ending), ending),
)


def stem(word: str) -> str:
    """Strip the ending, so that `budgets` and `budgeting` are one word: light, and for English only."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _LEAST_STEM:
            return _DOUBLED.sub(r"\1", word.removesuffix(ending))
    return word


def stems(text: str) -> dict[str, str]:
    """Return the words without stop words, by their stems, in the order of their first occurrence."""
    found: dict[str, str] = {}
    for word in _WORD.findall(text.lower()):
        if word not in _STOP_WORDS:
            found.setdefault(stem(word), word)
    return found
