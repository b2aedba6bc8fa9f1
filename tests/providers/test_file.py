"""The file of providers: what it takes, what it refuses, and what becomes of the settings."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from adapters.files.providers import load_providers
from domain.errors import Invalid
from runtime.settings import Settings
from runtime.wiring.model_provider import make_model, provider, provider_table, providers
from tests.servers import ROOT

GOOD = """
default_model: fast
weights: {acme: 3, zeta: 0.5}
providers:
- name: openai
  base_url: https://api.openai.com/v1
  key_variable: A_KEY_OF_THE_TEST
  models: [gpt-4.1-mini, "gpt-*"]
  aliases: {fast: gpt-4.1-mini}
  concurrency: 20
  requests_per_minute: 500
  tokens_per_minute: 200000
- name: local
  base_url: http://127.0.0.1:8081/v1
  models: [small]
  tools: "off"
  context_window: 4096
  max_answer_tokens: 256
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "providers.yaml"
    path.write_text(GOOD)
    return path


def test_a_file_names_providers_with_models_limits_and_weights(file: Path) -> None:
    found = load_providers(file)
    first, second = found.providers
    assert (first.limits.concurrency, first.limits.requests_per_minute) == (20, 500)
    assert not second.limits
    assert (found.weights, found.key_variables) == ({"acme": 3.0, "zeta": 0.5}, {"A_KEY_OF_THE_TEST"})


def test_the_same_can_be_written_as_json(tmp_path: Path) -> None:
    path = tmp_path / "providers.json"
    path.write_text('{"providers": [{"name": "one", "base_url": "http://one.example/v1", "models": ["m"]}]}')
    assert [each.name for each in load_providers(path).providers] == ["one"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("name: local", "name: Local!"), "providers.1.name"),
        (("name: local", "name: openai"), "openai: two providers have this name"),
        (("http://127", "ftp://127"), "providers.1.base_url: must begin with http"),
        (("http://127.0.0.1", "http://me:secret@127.0.0.1"), "must not contain a password"),
        (("concurrency: 20", "concurrency: 0"), "providers.0.concurrency"),
        (("concurrency: 20", "concurency: 20"), "providers.0.concurency: Extra inputs"),
        (("[small]", "[gpt-4.1-mini]"), "both openai and local claim it"),
        (("[small]", "[]"), "providers.1.models"),
        (("[small]", '["two words"]'), "must be one word"),
        (("{fast: gpt-4.1-mini}", "{fast: gpt-*}"), "gpt-\\* is a pattern"),
        (("default_model: fast", "default_model: slow"), "there is no model slow"),
        (("acme: 3", "acme: 0"), "weights.acme"),
        (("acme: 3", "acme: .nan"), "weights.acme"),
        (("key_variable: A_KEY_OF_THE_TEST", "key_variable: sk-a-real-key"), "providers.0.key_variable"),
        (("providers:", "providers: ["), "is neither YAML nor JSON"),
        (('tools: "off"', 'tools: "off"\n  tools: "on"'), "tools is given twice"),
        (("providers:", "provider:"), "providers: Field required"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_the_place(file: Path, change: tuple[str, str], says: str) -> None:
    file.write_text(GOOD.replace(*change))
    with pytest.raises(Invalid, match=says) as caught:
        load_providers(file)
    assert "sk-a-real-key" not in caught.value.message
    assert "secret" not in caught.value.message


def test_a_file_that_is_not_there_or_endless_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read: No such file"):
        load_providers(tmp_path / "none.yaml")
    (tmp_path / "endless.yaml").write_text("#" * 300_000)
    with pytest.raises(Invalid, match="is larger than"):
        load_providers(tmp_path / "endless.yaml")


def test_the_settings_say_at_the_start_what_is_wrong(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="the key variable A_KEY_OF_THE_TEST, which is not set"):
        Settings(providers=file)
    monkeypatch.setenv("A_KEY_OF_THE_TEST", "sk-of-a-test")
    with pytest.raises(ValidationError, match="OPENAI_BASE_URL cannot be set with CONVERGIO_PROVIDERS"):
        Settings(providers=file, openai_base_url="http://127.0.0.1:1/v1")
    file.write_text(GOOD.replace("default_model: fast", ""))
    with pytest.raises(ValidationError, match="names no default_model, and CONVERGIO_MODEL is not set"):
        Settings(providers=file)
    assert provider(Settings(providers=file, model="small")).name == "local"


async def test_settings_make_providers_with_keys_and_limits(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY_OF_THE_TEST", "sk-of-a-test")
    settings = Settings(providers=file, context_window=8192)
    first, second = providers(settings)
    assert (first.key, second.key) == ("sk-of-a-test", None)
    assert "sk-of-a-test" not in repr(first)
    assert "sk-of-a-test" not in repr(settings)
    assert (first.takes_tools, second.takes_tools) == (True, False)
    assert (first.context_window, second.context_window, second.max_answer_tokens) == (8192, 4096, 256)
    assert provider(settings).name == "openai"
    assert provider_table(settings).route("fast").name == "gpt-4.1-mini"
    model = make_model(settings)
    assert model.default == "gpt-4.1-mini"
    await model.aclose()


def test_one_provider_of_the_environment_is_the_case_of_one() -> None:
    settings = Settings(openai_base_url="http://127.0.0.1:1/v1", model="vendor/model")
    assert [each.name for each in providers(settings)] == ["local"]
    assert provider_table(settings).route("local/other").name == "local/other"


def test_the_file_that_the_page_shows_can_be_used(tmp_path: Path) -> None:
    page = (ROOT / "docs/models.md").read_text()
    shown = page.split("```yaml\n")[1].split("```")[0]
    (tmp_path / "providers.yaml").write_text(shown)
    assert len(load_providers(tmp_path / "providers.yaml").providers) > 1
