"""All answer shapes by name."""

from collections.abc import Mapping

from domain.ali import shapes as ali
from domain.answer_shape import AnswerShape
from domain.graphflow.generation import answer as generation
from domain.swarm import shapes as swarm

SHAPES: Mapping[str, AnswerShape] = {shape.name: shape for shape in (*ali.SHAPES, *swarm.SHAPES, *generation.SHAPES)}
