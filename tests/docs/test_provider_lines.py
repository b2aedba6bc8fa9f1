"""The lines of `docs/settings.md` for common providers: the settings they give, and the URL that a call goes to."""

import re
import shlex
from urllib.parse import urlsplit

import pytest

from adapters.openai.model import OpenAIModel
from runtime.settings import Settings
from runtime.wiring.model_provider import OPENAI_URL, provider
from tests.models.conftest import asking
from tests.models.test_provider_client import Provider, serving
from tests.servers import ROOT

PAGE = (ROOT / "docs/settings.md").read_text()
BLOCK = re.search(r"```sh\n(# OpenAI\n.+?)```", PAGE, re.DOTALL)
LINES = {
    name.split(" (")[0]: dict(word.split("=", 1) for word in shlex.split(line))
    for name, line in re.findall(r"# (.+)\n(.+)\n", BLOCK[1] if BLOCK else "")
}
CALLED = {
    "OpenAI": f"{OPENAI_URL}/chat/completions",
    "Azure OpenAI": (
        "https://ours.openai.azure.com/openai/deployments/gpt-4.1/chat/completions?api-version=2024-10-21"
    ),
    "Ollama": "http://localhost:11434/v1/chat/completions",
    "vLLM": "http://localhost:8000/v1/chat/completions",
    "LM Studio": "http://localhost:1234/v1/chat/completions",
}


def test_each_provider_has_a_line() -> None:
    assert set(LINES) == {*CALLED, "a file, served by the platform itself"}


@pytest.mark.parametrize("name", CALLED)
async def test_a_call_with_the_settings_of_a_line_goes_to_its_provider(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in LINES[name].items():
        monkeypatch.setenv(variable, value)
    settings = Settings()
    named = provider(settings)
    assert named.takes_tools
    assert named.url is not None
    listening = Provider()
    async with serving(listening) as here:
        key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else None
        model = OpenAIModel(_moved(named.url, here), key, named.default_model, 5)
        assert (await model.complete(asking(model=named.default_model), lambda _: None)).text == "hi"
        await model.aclose()
    (request,) = listening.requests
    there = urlsplit(named.url)
    assert f"{there.scheme}://{there.netloc}{request.path_qs}" == CALLED[name]
    assert (await request.json())["model"] == LINES[name]["CONVERGIO_MODEL"]
    sent = request.headers.get("Authorization") or request.headers.get("api-key")
    assert sent == {"OpenAI": f"Bearer {key}", "Azure OpenAI": key}.get(name)


def test_the_line_for_a_file_names_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = (line for name, line in LINES.items() if name not in CALLED)
    for variable, value in line.items():
        monkeypatch.setenv(variable, value)
    assert str(Settings().local_model) == line["CONVERGIO_LOCAL_MODEL"]


def _moved(url: str, here: str) -> str:
    """The same path and query at a server of ours."""
    there = urlsplit(url)
    return there._replace(scheme="http", netloc=urlsplit(here).netloc).geturl()
