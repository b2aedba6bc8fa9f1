"""The model providers that an operator configures: a YAML or JSON file."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from domain.errors import Invalid, NotFound
from domain.providers.table import ANY_MODEL, ModelProvider, ProviderLimits, ProviderTable, is_pattern
from domain.tenant_ids import TENANT_ID

_MAX_BYTES = 256 * 1024
_MOST_LIMIT = 10**9


def _one_word(name: str) -> str:
    if name.split() != [name] or not name.isprintable():
        raise ValueError("must be one word")
    return name


def _check_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ValueError("is not a URL") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must begin with http:// or https://, and a host")
    if parts.username or parts.password:
        raise ValueError("must not contain a password: name the variable that has the key")
    return url


ModelName = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_one_word)]
_Limit = Annotated[int, Field(ge=1, le=_MOST_LIMIT)]


class ProviderEntry(BaseModel):
    """A provider: `base_url` ends where the API's paths begin, `key_variable` is the environment variable with its key.

    `models` are the names of its models that agents can use, and patterns of them; `aliases` are other names of its
    models.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=r"\A[a-z0-9](?:[a-z0-9.-]{0,38}[a-z0-9])?\z")]
    base_url: Annotated[str, Field(max_length=2000), AfterValidator(_check_url)]
    key_variable: Annotated[str, Field(pattern=r"\A[A-Z][A-Z0-9_]{0,99}\z")] | None = None
    models: Annotated[tuple[ModelName, ...], Field(min_length=1, max_length=1000)] = (ANY_MODEL,)
    aliases: Annotated[dict[ModelName, ModelName], Field(max_length=1000)] = Field(default_factory=dict)
    concurrency: Annotated[int, Field(ge=1, le=100_000)] | None = None
    requests_per_minute: _Limit | None = None
    tokens_per_minute: _Limit | None = None
    context_window: Annotated[int, Field(ge=512)] | None = None
    max_answer_tokens: Annotated[int, Field(ge=1)] | None = None
    tools: Literal["on", "off"] = "on"

    @model_validator(mode="after")
    def _aliases_are_names(self) -> Self:
        patterns = sorted(each for pair in self.aliases.items() for each in pair if is_pattern(each))
        if patterns:
            raise ValueError(f"aliases: {patterns[0]} is a pattern; an alias is the name of one model")
        if chained := sorted(self.aliases.keys() & self.aliases.values()):
            raise ValueError(f"aliases: {chained[0]} is an alias of an alias")
        return self

    @property
    def limits(self) -> ProviderLimits:
        return ProviderLimits(self.concurrency, self.requests_per_minute, self.tokens_per_minute)


class ProvidersFile(BaseModel):
    """All providers; the model of agents that name none; and shares of tenants, 1 by default, where calls queue."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    providers: Annotated[tuple[ProviderEntry, ...], Field(min_length=1, max_length=100)]
    default_model: ModelName | None = None
    weights: Annotated[
        dict[Annotated[str, Field(pattern=TENANT_ID)], Annotated[float, Field(ge=0.01, le=100, allow_inf_nan=False)]],
        Field(max_length=10_000),
    ] = Field(default_factory=dict)

    @property
    def key_variables(self) -> frozenset[str]:
        """The environment variables that have the keys."""
        return frozenset(each.key_variable for each in self.providers if each.key_variable)

    def check(self, keys: Collection[str], model: str | None) -> None:
        """Check that it can be used with the keys of these variables, and this model as the default.

        Raises:
            Invalid: a key or the default model is missing.
        """
        if missing := sorted(self.key_variables - set(keys)):
            raise Invalid(f"the file names the key variable {missing[0]}, which is not set")
        if self.default_model is None and model is None:
            raise Invalid("the file names no default_model, and CONVERGIO_MODEL is not set")


def load_providers(path: Path) -> ProvidersFile:
    """Return the providers of a file.

    Raises:
        Invalid: it cannot be read or is invalid; the message names each place and repeats no value.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}") from error
    if len(raw) > _MAX_BYTES:
        raise Invalid(f"{path} is larger than {_MAX_BYTES} bytes")
    try:
        found = ProvidersFile.model_validate(yaml.load(raw, _UniqueKeys))  # noqa: S506  (a safe loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"{path} is neither YAML nor JSON: {_first_line(error)}") from None
    except ValidationError as error:
        faults = "; ".join(_faults(error))
        raise Invalid(f"{path} cannot be used: {faults}") from None
    _refuse_unclear(path, found)
    return found


def _refuse_unclear(path: Path, found: ProvidersFile) -> None:
    try:
        table = ProviderTable(ModelProvider(each.name, each.models, each.aliases) for each in found.providers)
        if found.default_model is not None:
            table.route(found.default_model)
    except (Invalid, NotFound) as refusal:
        raise Invalid(f"{path} cannot be used: {refusal.message}") from refusal


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that is given twice: the later one would silently replace the other."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:  # noqa: FBT001, FBT002  (the library's signature)
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            raise yaml.constructor.ConstructorError(None, None, f"{twice} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _faults(error: ValidationError) -> Iterator[str]:
    for fault in error.errors(include_input=False, include_context=False, include_url=False):
        place = ".".join(str(part) for part in fault["loc"])
        words = fault["msg"].removeprefix("Value error, ")
        yield f"{place}: {words}" if place else words


def _first_line(error: Exception) -> str:
    mark: Any = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or type(error).__name__
    return f"{problem}, line {mark.line + 1}" if mark is not None else str(problem)


def provider_weights(found: ProvidersFile | None) -> Mapping[str, float]:
    """Return the shares of tenants that a file names."""
    return found.weights if found else {}
