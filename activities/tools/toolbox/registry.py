"""The toolbox that joins all tools of a deployment."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import structlog

from domain.agents.tools import canonical
from domain.tools.ports import SourceStatus, Tool, ToolFailed, ToolSource, ToolState
from domain.tools.spec import ToolSpec

MOST_OFFERED = 128
"""Limit on the tools that providers take with one request."""


class JoinedToolbox:
    """`domain.tools.ports.Toolbox` of the platform's tools, the workflows' tools, and those of sources by name."""

    def __init__(
        self,
        tools: Iterable[Tool],
        by_workflow: Iterable[ToolSpec] = (),
        sources: Mapping[str, ToolSource] | None = None,
    ) -> None:
        self._tools = {tool.spec.name: tool for tool in tools}
        self._own = {spec.name: spec for spec in (*(tool.spec for tool in self._tools.values()), *by_workflow)}
        self._sources = dict(sources or {})
        self._log = structlog.get_logger("tools")

    @property
    def servers(self) -> tuple[str, ...]:
        """The names of the sources: agents may be given `<source>__<tool>` and `<source>__*`."""
        return tuple(self._sources)

    async def offered_specs(self, names: Sequence[str]) -> tuple[ToolSpec, ...]:
        """Return the available ones of these tools, each once. Waits only for the sources that are named."""
        wanted = canonical(names)
        there = await self._specs_by_source({source for name in wanted if (source := self._source(name))})
        specs = dict.fromkeys(spec.name for name in wanted for spec in self._matching_specs(name, there))
        if len(specs) > MOST_OFFERED:
            self._log.warning("too many tools for one agent", offered=MOST_OFFERED, there=len(specs))
        return tuple(self._own.get(name) or there[self._source(name)][name] for name in list(specs)[:MOST_OFFERED])

    async def states(self, names: Sequence[str]) -> tuple[ToolState, ...]:
        wanted = canonical(names)
        sources = {source for name in wanted if (source := self._source(name))}
        statuses = {status.name: status for status in await self._statuses(sources)}
        return tuple(state for name in wanted for state in self._states(name, statuses.get(self._source(name))))

    async def source_statuses(self) -> tuple[SourceStatus, ...]:
        return await self._statuses(self._sources)

    async def tool(self, name: str) -> Tool:
        if name in self._tools:
            return self._tools[name]
        if source := self._source(name):
            return await self._sources[source].tool(name)
        raise ToolFailed(f"There is no tool {name} here.")

    async def aclose(self) -> None:
        await asyncio.gather(*(source.aclose() for source in self._sources.values()))

    def _source(self, name: str) -> str:
        """Return the source that a name refers to; empty if it refers to none."""
        source, separator, _ = name.partition("__")
        return source if separator and source in self._sources else ""

    async def _statuses(self, sources: Iterable[str]) -> tuple[SourceStatus, ...]:
        return tuple(await asyncio.gather(*(self._sources[source].status() for source in sorted(sources))))

    def _states(self, name: str, source: SourceStatus | None) -> Iterable[ToolState]:
        if source is None:
            yield ToolState(name, "offered" if name in self._own else "not_configured")
        elif source.problem is not None:
            yield ToolState(name, "unavailable", source.problem)
        elif name.endswith("__*"):
            yield from (ToolState(tool, "offered") for tool in source.tools)
            quarantined = source.quarantined.items()
            yield from (ToolState(f"{source.name}__{tool}", "quarantined", reason) for tool, reason in quarantined)
        elif name in source.tools:
            yield ToolState(name, "offered")
        else:
            reason = source.quarantined.get(name.removeprefix(f"{source.name}__"))
            yield ToolState(name, "quarantined" if reason else "unavailable", reason or "its server does not list it")

    async def _specs_by_source(self, sources: Iterable[str]) -> dict[str, dict[str, ToolSpec]]:
        named = sorted(sources)
        found = await asyncio.gather(*(self._sources[source].specs() for source in named))
        return {source: {spec.name: spec for spec in specs} for source, specs in zip(named, found, strict=True)}

    def _matching_specs(self, name: str, there: Mapping[str, Mapping[str, ToolSpec]]) -> Iterable[ToolSpec]:
        if name in self._own:
            return (self._own[name],)
        specs = there.get(self._source(name), {})
        return specs.values() if name.endswith("__*") else (specs[name],) if name in specs else ()
