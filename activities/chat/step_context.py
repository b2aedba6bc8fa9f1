"""All that is known of a step before the model is called."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from activities.chat.messages import StepRequest
from activities.chat.reply import ReplyConstraints
from activities.costs.call_request import FIRST_PLACE, ModelPlace
from domain.agents.definition import AgentDefinition


@dataclass(frozen=True, slots=True)
class StepContext:
    """A step, the agent that takes it, its model with the bounds of prompt and answer, and the replies it may give."""

    thought: StepRequest
    call_id: str
    model: str
    definition: AgentDefinition
    wanted: ReplyConstraints
    window: int
    max_answer: int
    place: ModelPlace = FIRST_PLACE

    def edit_schema(self) -> Mapping[str, Any] | None:
        """Return the JSON Schema for a person's edit of the held answer.

        None if any text is valid or nothing is held.
        """
        shape = self.wanted.shape
        if not self.thought.is_held or shape is None or shape.takes_text:
            return None
        return shape.schema(self.wanted.options)
