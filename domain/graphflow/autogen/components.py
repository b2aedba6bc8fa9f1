"""Components as AutoGen dumps them, and what an agent among them has that cannot be carried over."""

from collections.abc import Iterator, Mapping
from typing import Any

_ABSENT = ("tools", "handoffs", "memory")
_STATIC = frozenset({"StaticWorkbench", "StaticStreamWorkbench"})
_ALIASES = frozenset(
    {
        "azure_openai_chat_completion_client",
        "AzureOpenAIChatCompletionClient",
        "openai_chat_completion_client",
        "OpenAIChatCompletionClient",
        "OllamaChatCompletionClient",
    }
)
"""Short names of model clients that AutoGen itself takes."""


def kind(component: Any) -> str:
    """The last part of its provider, as in `AssistantAgent`."""
    provider = component.get("provider") if isinstance(component, Mapping) else None
    return str(provider).rpartition(".")[2] if provider else "nameless thing"


def inner(component: Any) -> Mapping[str, Any]:
    """Its config; an empty one where it has none."""
    config = component.get("config") if isinstance(component, Mapping) else None
    return config if isinstance(config, Mapping) else {}


def listed(value: Any) -> list[Any]:
    """What a field holds that may hold one thing, several, or nothing."""
    if value is None or value == []:
        return []
    return value if isinstance(value, list) else [value]


def lost_of(name: str, config: Mapping[str, Any]) -> Iterator[str]:
    """What the agent of that name has that has no equal here, in words."""
    if not isinstance(config.get("system_message"), str | None):
        yield f"the system message of {name}, which is no text"
    for field in _ABSENT:
        for each in listed(config.get(field)):
            what = each if isinstance(each, str) else inner(each).get("name") or kind(each)
            yield f"{field.removesuffix('s')} {what} of {name}"
    for bench in listed(config.get("workbench")):
        tools = listed(inner(bench).get("tools"))
        for tool in tools:
            yield f"tool {inner(tool).get('name') or kind(tool)} of {name}"
        if not tools and kind(bench) not in _STATIC:
            yield f"workbench {kind(bench)} of {name}"
    if config.get("structured_message_factory"):
        yield f"structured messages of {name}"
    client = config.get("model_client")
    if isinstance(client, Mapping) and not _is_autogens(str(client.get("provider", ""))):
        yield f"model client {kind(client)} of {name}"


def _is_autogens(provider: str) -> bool:
    return provider.startswith("autogen_ext.models.") or provider in _ALIASES
