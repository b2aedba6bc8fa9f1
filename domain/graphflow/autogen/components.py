"""Component JSON of AutoGen, and the parts of an agent that have no counterpart here."""

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
"""Short names of model clients that AutoGen itself accepts."""


def kind(component: Any) -> str:
    """Return the last part of its provider, such as `AssistantAgent`."""
    provider = component.get("provider") if isinstance(component, Mapping) else None
    return str(provider).rpartition(".")[2] if provider else "nameless thing"


def config_of(component: Any) -> Mapping[str, Any]:
    """Return its config; an empty one where it has none."""
    config = component.get("config") if isinstance(component, Mapping) else None
    return config if isinstance(config, Mapping) else {}


def as_list(value: Any) -> list[Any]:
    """Normalize a field that may contain one value, several, or none to a list."""
    if value is None or value == []:
        return []
    return value if isinstance(value, list) else [value]


def unsupported_parts(name: str, config: Mapping[str, Any]) -> Iterator[str]:
    """Yield the parts of this agent that have no counterpart here, in words."""
    if not isinstance(config.get("system_message"), str | None):
        yield f"the system message of {name}, which is not a text"
    for field in _ABSENT:
        for each in as_list(config.get(field)):
            what = each if isinstance(each, str) else config_of(each).get("name") or kind(each)
            yield f"{field.removesuffix('s')} {what} of {name}"
    for bench in as_list(config.get("workbench")):
        tools = as_list(config_of(bench).get("tools"))
        for tool in tools:
            yield f"tool {config_of(tool).get('name') or kind(tool)} of {name}"
        if not tools and kind(bench) not in _STATIC:
            yield f"workbench {kind(bench)} of {name}"
    if config.get("structured_message_factory"):
        yield f"structured messages of {name}"
    client = config.get("model_client")
    if isinstance(client, Mapping) and not _is_autogens(str(client.get("provider", ""))):
        yield f"model client {kind(client)} of {name}"


def _is_autogens(provider: str) -> bool:
    return provider.startswith("autogen_ext.models.") or provider in _ALIASES
