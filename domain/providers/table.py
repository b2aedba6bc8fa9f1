"""The model providers of a deployment, and the one that a model's name means."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from domain.errors import Invalid, NotFound

ANY_MODEL = "*"
_WILDCARDS = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class ProviderLimits:
    """Limits on the calls to a provider, shared by all workers; None is no limit.

    Tokens are those of prompts and answers.
    """

    concurrency: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None

    def __bool__(self) -> bool:
        return any(limit is not None for limit in (self.concurrency, self.requests_per_minute, self.tokens_per_minute))


@dataclass(frozen=True, slots=True)
class ModelProvider:
    """A provider and the models that it claims: exact names, patterns such as `gpt-*`, and aliases of its models.

    `takes_tools` is whether tools are offered to its models. An answer has `max_answer_tokens` at most, and never more
    than one part in `answer_share` of the window.
    """

    name: str
    models: tuple[str, ...] = (ANY_MODEL,)
    aliases: Mapping[str, str] = field(default_factory=dict)
    takes_tools: bool = True
    max_answer_tokens: int = 8192
    answer_share: int = 8
    limits: ProviderLimits = field(default_factory=ProviderLimits)

    def own_name(self, name: str) -> str | None:
        """Return the provider's own name of the model that it is called here; None if it claims none."""
        if name in self.aliases:
            return self.aliases[name]
        return name if name in self.models or self.matches(name) else None

    def exact_names(self) -> Iterator[str]:
        """Yield the names that it claims one by one."""
        yield from (name for name in self.models if not is_pattern(name))
        yield from self.aliases

    def matches(self, name: str) -> bool:
        """Return True if one of its patterns claims this name."""
        return any(is_pattern(each) and fnmatchcase(name, each) for each in self.models)


def is_pattern(name: str) -> bool:
    """Return True if the name stands for several models."""
    return not _WILDCARDS.isdisjoint(name)


@dataclass(frozen=True, slots=True)
class ModelRoute:
    """The way to a model: its provider, the provider's own name of it, and its name in the ledger.

    The latter is the provider's own name, with `<provider>/` before it where that alone means another provider's.
    """

    provider: ModelProvider
    model: str
    name: str

    @property
    def is_qualified(self) -> bool:
        return self.name != self.model


class ProviderTable:
    """The providers by name. Where there is only one of them, and no file that names it, it has every model."""

    def __init__(self, providers: Iterable[ModelProvider], *, has_every_model: bool = False) -> None:
        """Refuse providers whose models cannot be told apart.

        Raises:
            Invalid: two have the same name, or claim the same name of a model; the message names both.
        """
        self.providers = tuple(providers)
        self._by_name = {each.name: each for each in self.providers}
        self._only = self.providers[0] if has_every_model else None
        if len(self._by_name) < len(self.providers):
            names = [each.name for each in self.providers]
            raise Invalid(f"{next(name for name in names if names.count(name) > 1)}: two providers have this name")
        self._claims: dict[str, ModelProvider] = {}
        for provider in self.providers:
            for name in provider.exact_names():
                self._claim(provider, name)

    def _claim(self, provider: ModelProvider, name: str) -> None:
        other = self._claims.setdefault(name, provider)
        if other is not provider:
            raise Invalid(
                f"{name}: both {other.name} and {provider.name} claim it; list it at one of them as a pattern"
            )
        before, slash, _ = name.partition("/")
        if slash and before in self._by_name and before != provider.name:
            raise Invalid(f"{name}: {provider.name} claims what means a model of the provider {before}")

    def route(self, name: str) -> ModelRoute:
        """Return the way to the model that this name means: `provider/model`, or a name that one provider claims.

        Raises:
            NotFound: no provider claims it, or several do.
        """
        if self._only is not None:
            return ModelRoute(self._only, name, name)
        provider, model = self._find(name)
        try:
            is_clear = self._find(model) == (provider, model)
        except NotFound:
            is_clear = False
        return ModelRoute(provider, model, model if is_clear else f"{provider.name}/{model}")

    def _find(self, name: str) -> tuple[ModelProvider, str]:
        before, slash, rest = name.partition("/")
        if slash and before in self._by_name:
            provider = self._by_name[before]
            if not rest or (model := provider.own_name(rest)) is None:
                raise NotFound(f"the provider {before} has no model {rest}")
            return provider, model
        claiming = self._claims.get(name)
        found = [claiming] if claiming else [each for each in self.providers if each.matches(name)]
        if len(found) != 1:
            reason = "several providers claim it: name it provider/model" if found else "no provider claims it"
            raise NotFound(f"there is no model {name}: {reason}")
        return found[0], found[0].own_name(name) or name

    def route_or_none(self, name: str) -> ModelRoute | None:
        """Return the way to a model; None if no provider, or more than one, claims the name."""
        try:
            return self.route(name)
        except NotFound:
            return None

    def ledger_name(self, name: str) -> str:
        """Return the name of a model in the ledger; a name that means none stays as it is."""
        found = self.route_or_none(name)
        return found.name if found else name

    def provider_of(self, name: str) -> str | None:
        """Return the name of a model's provider; None if the name means no model."""
        found = self.route_or_none(name)
        return found.provider.name if found else None


ANY_PROVIDER = ProviderTable((ModelProvider("unnamed"),), has_every_model=True)
"""The null object: one provider without a name."""
