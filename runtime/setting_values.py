"""Values of settings that are written as text: limits, the rule of circuits, and secrets."""

import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Self

SIGNING_KEY_BYTES = 32
LONGEST_ANSWER_S = 6 * 3600.0
USUAL_ANSWER_S = 600.0
LONGEST_WINDOW_S = 3600.0
_TRIP = re.compile(r"([0-9]{1,3}(?:\.[0-9]+)?)\s*%\s*/\s*([0-9]{1,6})\s*/\s*([0-9]{1,4}(?:\.[0-9]+)?)")
_ODD_NAME = re.compile(r"[\s;]")  # another separator than the comma, as a rule


class RateLimit(tuple[int, int]):
    """`requests / seconds`, as in `100/60`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self | None:
        if text.strip().lower() == "off":
            return None
        requests, _, seconds = text.partition("/")
        if not (requests.strip().isdigit() and seconds.strip().isdigit() and int(requests) and int(seconds)):
            raise ValueError("use REQUESTS/SECONDS such as 100/60, or off")
        return cls((int(requests), int(seconds)))


class CircuitTrip(tuple[float, int, float]):
    """`percent% / calls / seconds`, as in `50%/20/60`: half of at least 20 calls within 60 seconds."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self | None:
        if text.strip().lower() == "off":
            return None
        found = _TRIP.fullmatch(text.strip())
        if found is None:
            raise ValueError("use PERCENT%/CALLS/SECONDS such as 50%/20/60, or off")
        percent, calls, seconds = float(found[1]), int(found[2]), float(found[3])
        if not (0 < percent <= 100 and calls and 1 <= seconds <= LONGEST_WINDOW_S):  # noqa: PLR2004  (percent)
            raise ValueError(
                f"use more than 0% and at most 100%, at least 1 call, and 1 to {LONGEST_WINDOW_S:g} seconds"
            )
        return cls((percent / 100, calls, seconds))


class AnswerTimes(dict[str, float]):
    """Time limits of whole answers in seconds, by model; the one under the empty name is for all others."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        times: dict[str, float] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            model, _, seconds = (word.strip() for word in part.rpartition("="))
            if model in times:
                raise ValueError(f"{model or 'the time of all other models'} is given twice")
            try:
                times[model] = float(seconds if _ODD_NAME.search(model) is None else "")
            except ValueError:
                raise ValueError("use SECONDS such as 600, or MODEL=SECONDS, with commas between") from None
        return cls.of(times)

    @classmethod
    def of(cls, times: Mapping[str, float]) -> Self:
        """Return these limits, with the default for all other models unless it is among them."""
        if not all(0 < seconds <= LONGEST_ANSWER_S for seconds in times.values()):
            raise ValueError(f"an answer may take more than 0 and at most {LONGEST_ANSWER_S:g} seconds")
        return cls({"": USUAL_ANSWER_S, **times})


def is_webhook_secret(secret: str) -> bool:
    """Return True for `whsec_` and the base64 of 24 to 64 bytes, as Standard Webhooks specifies."""
    try:
        key = b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        return False
    return secret.startswith("whsec_") and len(key) in range(24, 65)


def is_signing_key(secret: str) -> bool:
    """Return True for the base64 of 32 bytes."""
    try:
        return len(b64decode(secret, validate=True)) == SIGNING_KEY_BYTES
    except ValueError:
        return False
