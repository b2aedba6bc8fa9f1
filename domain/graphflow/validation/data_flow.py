"""Checks of data flow: every expression can be evaluated on the data that exists when it is evaluated."""

from collections.abc import Iterator, Mapping

from domain.graphflow.definition.model import Definition, MapNode
from domain.graphflow.definition.to_graph import graph_of
from domain.graphflow.expressions.cel import ROOTS, BadExpression
from domain.graphflow.expressions.hints import hint
from domain.graphflow.expressions.templates import Reference, references
from domain.graphflow.expressions.types import OBJECT, ValueType
from domain.graphflow.validation.context import ValidationContext
from domain.graphflow.validation.output_types import OutputTypes
from domain.graphflow.validation.problems import Problem
from domain.graphflow.validation.reachability import Reachability, reachability_of
from domain.graphflow.validation.template_sites import TemplateSite, sites

WARNINGS = frozenset({"may_be_skipped", "may_have_failed", "optional_input", "may_be_whole"})


def problems(definition: Definition, known: ValidationContext) -> Iterator[Problem]:
    """Yield errors and warnings (those with the codes in `WARNINGS`) of a definition that is a graph."""
    yield from _items(definition)
    reader = _ReadChecker(definition, known)
    for site in sites(definition):
        try:
            for expression in site.expressions():
                yield from reader.expression(site, expression)
        except BadExpression as error:
            fix = "Close it with }}, or write {{ '{{' }} for the characters themselves"
            yield Problem("bad_template", site.where, site.field, error.reason, fix)


class _ReadChecker:
    def __init__(self, definition: Definition, known: ValidationContext) -> None:
        self._definition = definition
        self._outputs = OutputTypes(definition, known)
        self._order: Reachability = reachability_of(graph_of(definition))
        self._index = {node.id: at for at, node in enumerate(definition.nodes)}

    def expression(self, site: TemplateSite, expression: str) -> Iterator[Problem]:
        try:
            kind = self._outputs.kind_at(site, expression)
            read = references(expression)
        except BadExpression as error:
            message = f"{_short(expression)}: {error.reason}"
            yield Problem("bad_expression", site.where, site.field, message, hint(expression, error.kind, error.name))
            return
        yield from _form(site, expression, kind)
        for path in self._outputs.mixed_in(expression):
            message = f"{path} may be an integer or not, and arithmetic needs numbers of one type"
            fix = f"Write double({path}), and other numbers with a point, as in 2.0"
            yield Problem("may_be_whole", site.where, site.field, message, fix)
        for reference in read:
            if reference.path[0] == "input" and not reference.tested:
                yield from self._input(site, reference)
            elif reference.path[0] == "nodes" and len(reference.path) > 1:
                yield from self._node(site, reference)

    def _input(self, site: TemplateSite, reference: Reference) -> Iterator[Problem]:
        if reference.guarded or len(reference.path) == 1:
            return
        name = ".".join(reference.path)
        if missing := _undeclared_part(reference.path, self._outputs.of_input):
            fix = f"Declare {missing} in the input's properties, or ask has({name}) first"
            yield Problem("unknown_input", site.where, site.field, f"{missing} is not declared", fix)
            return
        first, schema = reference.path[1], self._definition.input
        declared = schema.get("properties", {}).get(first)
        has_default = isinstance(declared, Mapping) and "default" in declared
        if first not in schema.get("required", ()) and not has_default:
            message = f"input.{first} may be left out"
            fix = f"Make {first} required, or ask has(input.{first}) first"
            yield Problem("optional_input", site.where, site.field, message, fix)

    def _node(self, site: TemplateSite, reference: Reference) -> Iterator[Problem]:
        name = reference.path[1]
        if name not in self._index:
            fix = "Read one of the nodes: " + ", ".join([*self._index][:10])
            yield Problem("unknown_node_read", site.where, site.field, f"there is no node {name}", fix)
        elif not self._can_have_run(site, name):
            fix = f"Draw a way from {name} to {site.node}, or read a node before it"
            yield Problem("not_before", site.where, site.field, f"{name} cannot have run before", fix)
        elif not reference.tested and not reference.guarded:
            yield from self._unguarded_read(site, reference)

    def _can_have_run(self, site: TemplateSite, name: str) -> bool:
        if site.node is None or (site.after and site.node == name):
            return True
        return self._index[name] in self._order.possible[self._index[site.node]]

    def _unguarded_read(self, site: TemplateSite, reference: Reference) -> Iterator[Problem]:
        name = reference.path[1]
        if missing := _undeclared_part(reference.path, self._outputs.of_node(name)):
            fix = f"Declare it in the output of {name}, or ask has({'.'.join(reference.path)}) first"
            yield Problem("unknown_output", site.where, site.field, f"{missing} is not declared", fix)
        guard = f"Ask has(nodes.{name}.output) first"
        if reference.path[2:3] != ("output",):
            return
        if self._index[name] not in self._sure(site):
            message = f"{name} may have been skipped, and has no output then"
            yield Problem("may_be_skipped", site.where, site.field, message, guard)
        elif self._definition.nodes[self._index[name]].on_error == "continue":
            message = f"{name} continues after an error, and has no output then"
            yield Problem("may_have_failed", site.where, site.field, message, guard)

    def _sure(self, site: TemplateSite) -> frozenset[int]:
        if site.node is None:
            return self._order.always
        at = self._index[site.node]
        return self._order.sure[at] | ({at} if site.after else frozenset())


def _items(definition: Definition) -> Iterator[Problem]:
    for node in definition.nodes:
        if isinstance(node, MapNode) and node.item in ROOTS:
            message = f"an item cannot be called {node.item}, which is a variable already"
            yield Problem("item_name", f"node {node.id}", "item", message, "Take another name")


def _form(site: TemplateSite, expression: str, kind: ValueType) -> Iterator[Problem]:
    if site.form == "condition" and kind not in {"BOOL", "DYN"}:
        message = f"{_short(expression)} is neither true nor false"
        yield Problem("no_condition", site.where, site.field, message, "Compare it with something, as in … == 'yes'")
    if site.field == "over" and not kind.startswith(("LIST<", "DYN")):
        message = f"{_short(expression)} is no list"
        yield Problem(
            "no_list", site.where, site.field, message, "Give it a list, as from an output with a JSON Schema"
        )


def _undeclared_part(path: tuple[str, ...], kinds: Mapping[str, ValueType]) -> str | None:
    """Return the first part of a path that a declared object does not have; None where nothing is declared."""
    for many in range(1, len(path)):
        before_it, with_it = ".".join(path[:many]), ".".join(path[: many + 1])
        declares = any(name.startswith(f"{before_it}.") for name in kinds)
        if kinds.get(before_it) == OBJECT and declares and with_it not in kinds:
            return with_it
    return None


def _short(expression: str) -> str:
    return expression if len(expression) <= 80 else f"{expression[:79]}…"  # noqa: PLR2004  (about one line)
