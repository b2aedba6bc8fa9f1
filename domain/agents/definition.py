"""The definition of an agent: a name, capabilities, tools and the instructions it works by."""

from hashlib import sha256
from typing import Annotated, Literal

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

MAX_INSTRUCTIONS = 20_000
"""Limit on an agent's instructions, in characters."""


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("may not hold the character U+0000")
    return text


def _one_line(text: str) -> str:
    if len(text.splitlines()) > 1:
        raise ValueError("must be one line")
    return _storable(text)


def _named_once(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)}: named twice")
    return names


def _not_of_a_user(name: str) -> str:
    if name.startswith("user:"):
        raise ValueError("collections of users are not for agents to be bound to")
    return name


AgentId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,63}$")]
Phrase = Annotated[str, Field(max_length=80), AfterValidator(_one_line)]


Name = Annotated[str, Field(max_length=120), AfterValidator(_one_line)]
Description = Annotated[str, Field(max_length=500), AfterValidator(_one_line)]
Capabilities = Annotated[tuple[Phrase, ...], Field(max_length=20), AfterValidator(_named_once)]
Tools = Annotated[tuple[Phrase, ...], Field(max_length=50), AfterValidator(_named_once)]
Color = Annotated[str, StringConstraints(pattern=r"^#[0-9A-Fa-f]{6}$", to_upper=True)]
Aliases = Annotated[tuple[AgentId, ...], Field(max_length=10), AfterValidator(_named_once)]
Model = Annotated[str, Field(max_length=200), AfterValidator(_one_line)]
FallbackModels = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_one_line)], ...],
    Field(max_length=5),
    AfterValidator(_named_once),
]
Temperature = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]
Instructions = Annotated[str, Field(max_length=MAX_INSTRUCTIONS), AfterValidator(_storable)]
CollectionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"), AfterValidator(_not_of_a_user)]
Collections = Annotated[tuple[CollectionName, ...], Field(max_length=20), AfterValidator(_named_once)]
ApprovalRisk = Literal["none", "low", "medium", "high", "critical"]


class AgentDefinition(BaseModel):
    """One version of an agent. `aliases` are further ids of it; without `model` it uses the platform's.

    `fallback_models` are called, in this order, while calls to the model before cannot succeed. `approval` is the
    risk level at which each of its answers needs an approval; `none` requires no approval. `collections` are those
    of documents that it searches; none means the usual ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, str_min_length=1)

    id: AgentId
    name: Name
    description: Description
    capabilities: Capabilities = ()
    tools: Tools = ()
    color: Color
    aliases: Aliases = ()
    model: Model | None = None
    fallback_models: FallbackModels = ()
    temperature: Temperature | None = None
    instructions: Instructions
    approval: ApprovalRisk = "none"
    collections: Collections = ()


def fingerprint(definition: AgentDefinition) -> str:
    """SHA-256, in hex, of the definition as canonical JSON (RFC 8785).

    Fields at their default are left out, so that a field added later changes no old fingerprint.
    """
    fields = definition.model_dump(mode="json", exclude_defaults=True)
    whole = {name: int(v) if isinstance(v, float) and v.is_integer() else v for name, v in fields.items()}
    return sha256(orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)).hexdigest()
