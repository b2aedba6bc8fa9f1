"""Validation of a definition: all checks that are possible before it runs."""

from domain.graphflow.definition.model import Definition
from domain.graphflow.validation import arguments as passing
from domain.graphflow.validation import data_flow as reading
from domain.graphflow.validation import references as naming
from domain.graphflow.validation import structure
from domain.graphflow.validation.context import ValidationContext
from domain.graphflow.validation.problems import Problem, Validation
from domain.graphflow.validation.worst_case import worst_case

_MOST = 100


def validate(definition: Definition, known: ValidationContext) -> Validation:
    """Return the problems of a definition, and the worst case of a run.

    If the definition is no graph, structure and data flow are not checked further. At most 100 errors and warnings are
    returned.
    """
    errors = [*structure.graph_errors(definition), *passing.schemas(definition)]
    warnings: list[Problem] = []
    named = [*naming.problems(definition, known)]
    if not errors:
        errors += [*structure.problems(definition), *passing.problems(definition, known)]
        warnings += structure.hints(definition)
        for problem in reading.problems(definition, known):
            (warnings if problem.code in reading.WARNINGS else errors).append(problem)
    worst = None if errors or named else worst_case(definition, known)
    told = tuple(dict.fromkeys([*named, *errors]))[:_MOST]
    return Validation(told, tuple(dict.fromkeys(warnings))[:_MOST], worst)
