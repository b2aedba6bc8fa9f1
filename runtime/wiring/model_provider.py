"""The model provider that the settings name."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from adapters.local_model import MODEL_NAME
from runtime.settings import Settings

OPENAI_URL = "https://api.openai.com/v1"
OPENAI_MODEL = "gpt-4.1-mini"
"""The model at OpenAI when CONVERGIO_MODEL is not set."""

_ANSWER_TOKENS = 8192
"""Models that reason first write thousands of tokens before their answer, all of which count."""
_LOCAL_ANSWER_TOKENS = 256
"""The local model writes some tens of tokens a second, and nothing better the longer it goes on."""
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, slots=True)
class Provider:
    """`name` is part of its task queue's name; `url` is None when there is no provider.

    `takes_tools` is whether agents' tools are offered to its models. An answer has `max_answer_tokens` at most, and
    never more than one part in `answer_share` of the window.
    """

    name: str
    url: str | None
    default_model: str
    max_answer_tokens: int
    takes_tools: bool
    answer_share: int = 8


def provider(settings: Settings) -> Provider:
    """The provider at OPENAI_BASE_URL, or OpenAI when there is only a key, or none."""
    url = settings.openai_base_url or (OPENAI_URL if settings.openai_api_key else None)
    if url is None:
        return Provider("none", None, settings.model or "none", _ANSWER_TOKENS, takes_tools=False)
    host = urlsplit(url).hostname or "unnamed"
    name = "local" if host in _LOOPBACK else "openai" if url == OPENAI_URL else host
    model = settings.model or (MODEL_NAME if name == "local" else OPENAI_MODEL)
    longest = _LOCAL_ANSWER_TOKENS if model == MODEL_NAME else _ANSWER_TOKENS
    takes_tools = model != MODEL_NAME if settings.model_tools == "auto" else settings.model_tools == "on"
    share = 8 if settings.max_answer_tokens is None else 4
    return Provider(name, url, model, settings.max_answer_tokens or longest, takes_tools, share)
