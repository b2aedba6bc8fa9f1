"""Values of settings that are written as text: rate limits, and time limits of answers."""

import re
from collections.abc import Mapping
from typing import Self

LONGEST_ANSWER_S = 6 * 3600.0
USUAL_ANSWER_S = 600.0
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
