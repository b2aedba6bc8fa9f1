"""The shapes that answers may be asked for, by name."""

from collections.abc import Mapping

from domain.ali import shapes as ali
from domain.graphflow import generation
from domain.shapes import Shape
from domain.swarm import shapes as swarm

SHAPES: Mapping[str, Shape] = {shape.name: shape for shape in (*ali.SHAPES, *swarm.SHAPES, *generation.SHAPES)}
