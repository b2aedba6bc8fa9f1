"""How long whole answers may take, as `CONVERGIO_MODEL_LONGEST_S` says it, and what of it is refused."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from runtime.setting_values import LONGEST_ANSWER_S
from runtime.settings import Settings


def settings(text: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("CONVERGIO_MODEL_LONGEST_S", text)
    return Settings()


@pytest.mark.parametrize(
    ("text", "usual", "own"),
    [
        ("", 600, {}),
        (",", 600, {}),
        ("90", 90, {}),
        ("0.5", 0.5, {}),
        ("600,deepseek-reasoner=1800", 600, {"deepseek-reasoner": 1800}),
        ("deepseek-reasoner=1800,60", 60, {"deepseek-reasoner": 1800}),
        ("o3=900", 600, {"o3": 900}),
        (" 60 , o3 = 900 ,", 60, {"o3": 900}),
        ("qwen3:32b=7,org/model=8,odd=name=9", 600, {"qwen3:32b": 7, "org/model": 8, "odd=name": 9}),
        (f"{LONGEST_ANSWER_S:g}", LONGEST_ANSWER_S, {}),
    ],
)
def test_times_are_read_for_all_models_and_for_those_with_one_of_their_own(
    text: str, usual: float, own: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = settings(text, monkeypatch)
    assert read.answer_time == timedelta(seconds=usual)
    assert read.answer_times == {model: timedelta(seconds=seconds) for model, seconds in own.items()}
    assert read.longest_answer == timedelta(seconds=max(usual, *own.values(), 0))


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("soon", "use SECONDS"),
        ("o3=", "use SECONDS"),
        ("o3=soon", "use SECONDS"),
        ("o3", "use SECONDS"),
        ("60s", "use SECONDS"),
        ("60;o3=900", "use SECONDS"),
        ("0", "more than 0"),
        ("-1", "more than 0"),
        ("o3=0", "more than 0"),
        ("nan", "more than 0"),
        ("inf", "more than 0"),
        ("o3=21601", "at most 21600"),
        ("60,90", "given twice"),
        ("60,=90", "given twice"),
        ("o3=60,o3=90", "o3 is given twice"),
    ],
)
def test_what_is_no_time_is_refused_at_the_start_with_a_sentence(
    text: str, because: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValidationError, match=because):
        settings(text, monkeypatch)


def test_times_of_some_models_leave_the_others_theirs() -> None:
    assert Settings(model_longest_s={"o3": 900.0}).answer_time == timedelta(seconds=600)
    with pytest.raises(ValidationError, match="more than 0"):
        Settings(model_longest_s={"o3": 0.0})
