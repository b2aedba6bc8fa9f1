"""Decides the constraints of a step's reply: the tools that are offered, and the shape of the answer."""

from asyncio import to_thread
from collections.abc import Callable, Sequence

from activities.chat.answer_shapes import SHAPES
from activities.chat.messages import StepRequest
from activities.chat.reply import ReplyConstraints, shape_of
from domain.agents.definition import AgentDefinition
from domain.answer_shape import AnswerShape
from domain.chat.model_port import ToolOffer
from domain.chat.steps import MOST_STEPS
from domain.tools.ports import Toolbox
from domain.tools.spec import ToolSpec

MOST_DEPTH = 2
"""Limit on the depth of nested delegations."""

_MOST_KNOWN = 1_000
NO_CONSTRAINTS = ReplyConstraints()


class ToolOffers:
    """Looks up an agent's tools. Offers of the same tools are the same object, so that they are encoded once only."""

    def __init__(self, toolbox: Toolbox, shapes: Callable[[str], AnswerShape | None] = lambda _: None) -> None:
        """Take `shapes`, a lookup of the shapes that are declared elsewhere, by name; it returns None for others."""
        self._toolbox = toolbox
        self._shapes = shapes
        self._known: dict[tuple[int, ...], tuple[tuple[ToolSpec, ...], tuple[ToolOffer, ...]]] = {}

    async def reply_constraints(
        self, thought: StepRequest, definition: AgentDefinition, *, takes_tools: bool
    ) -> ReplyConstraints:
        """Return the constraints of this step's reply.

        Raises:
            domain.errors.Invalid: there is no such shape.
        """
        names = self._names(thought, definition) if takes_tools else ()
        if not names and thought.shape is None:
            return NO_CONSTRAINTS
        specs, offers = self._cached_offers(await self._toolbox.offered_specs(names)) if names else ((), ())
        is_last = thought.step >= MOST_STEPS
        return ReplyConstraints(
            () if is_last else specs,
            offers,
            await self._shape(thought.shape),
            tuple(thought.options),
            calls_no_tools=is_last and bool(offers),
        )

    async def _shape(self, name: str | None) -> AnswerShape | None:
        declared = await to_thread(self._shapes, name) if name and name not in SHAPES else None
        return declared or shape_of(name)

    def _names(self, thought: StepRequest, definition: AgentDefinition) -> Sequence[str]:
        names = definition.tools if thought.tools is None else thought.tools
        return names if thought.depth < MOST_DEPTH else [name for name in names if name != "delegate"]

    def _cached_offers(self, specs: tuple[ToolSpec, ...]) -> tuple[tuple[ToolSpec, ...], tuple[ToolOffer, ...]]:
        key = tuple(id(spec) for spec in specs)
        if key not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            offers = tuple(ToolOffer(spec.name, spec.description, spec.parameters) for spec in specs)
            self._known[key] = specs, offers  # keeping the specs alive keeps their ids from being reused
        return self._known[key]
