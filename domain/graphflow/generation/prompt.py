"""The prompt for generating a workflow."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from domain.message_parts import MessagePart

MODES: Mapping[str, str] = {
    "collaborative": "all answer, read each other and revise",
    "sequential": "each builds on the last",
    "parallel": "all answer apart",
    "hierarchical": "the coordinator splits and delegates",
    "debate": "for and against, then a judge",
    "vote": "proposals and ballots",
    "handoff": "each names who goes on",
}
"""The swarm modes in a few words: the prompt has to be short."""

_RULES = """\
Draw a workflow that does what is described and meets every requirement. You do not carry it out. It is proven before \
it is kept: use only the names below, lead to every node, let every way end. There is little room: prompts of one or \
two sentences, no field that is not needed, JSON without line breaks.

`definition` has name, description, input (a JSON Schema of type object; without it there is input.request, a text), \
nodes, edges and output (a template, or an object of templates). A node has an id ([a-z][a-z0-9_]*), a type, a short \
title, and by its type:
- agent: agent, prompt; output (a JSON Schema of type object) where conditions or other nodes read fields of the \
answer, else the output is a text. For work that needs judgement.
- swarm: agents (2 or more), mode, task. For what several have to weigh together. The output is a text.
- tool: tool, arguments. To look something up.
- approval: title, content (what a person decides about), risk (low|medium|high|critical). Before anything that goes \
out, costs much or cannot be undone. The output has approved (a boolean), content and comment; without conditions on \
its edges a no ends the run.
- transform: set {name: expression}. To put together or count; asks no model. The output is that object.
- map: over (an expression that gives a list), item (its name in the inner node), max_items, node (an agent, tool, \
transform or workflow, without id). The output is the list of outputs.
- wait: exactly one of seconds, until (a time, RFC 3339) and event (a name; timeout_s goes with it).
- workflow: workflow, input. The output is that workflow's.
Any node may have join (all|any|a number of edges; all edges by default), retry {attempts, pause_s}, timeout_s, \
on_error (fail|continue|{goto: id}), compensate (an agent or tool that undoes it). Leave out what you do not need.

Expressions are CEL over input.x, nodes.<id>.output, nodes.<id>.output.field, context and visit. Texts (prompt, task, \
content, title, arguments) are templates: {{ expression }}. Read only nodes that come before; ask \
has(nodes.a.output) first where a may have been skipped, as in {{ has(nodes.a.output) ? nodes.a.output : '' }}.
An edge {from, to} is always taken; with when (an expression) if it is true; with otherwise: true if no other edge of \
the node is. Edges of one node that are taken run side by side. A loop leads back by an edge with when, has another \
edge out (otherwise: true), and its first node has max_visits, such as 3.

An example of nodes and edges:
{"nodes": [{"id": "draft", "type": "agent", "agent": "<agent>", "max_visits": 3, "prompt": "Write about \
{{ input.request }}. {{ has(nodes.check.output) ? 'Mend: ' + nodes.check.output.why : '' }}"}, {"id": "check", "type": \
"agent", "agent": "<agent>", "prompt": "Is it good? {{ nodes.draft.output }}", "output": {"type": "object", \
"properties": {"good": {"type": "boolean"}, "why": {"type": "string"}}, "required": ["good", "why"]}}, {"id": \
"release", "type": "approval", "title": "Send it?", "content": "{{ nodes.draft.output }}", "risk": "medium"}], \
"edges": [{"from": "draft", "to": "check"}, {"from": "check", "to": "draft", "when": "!nodes.check.output.good && \
visit < 3"}, {"from": "check", "to": "release", "otherwise": true}]}

`requirements` has one entry for each numbered requirement: requirement (its number), nodes (the ids that meet it), \
met, how (in one sentence). If something cannot be met with what there is, say met: false and why, and do not pretend.

"""


def generation_prompt(*, names_hash: str, description_hash: str, requirements_hash: str | None) -> list[MessagePart]:
    """Return the message of the turn that generates."""
    parts = [
        MessagePart(_RULES),
        MessagePart(hash=names_hash),
        MessagePart("\n\nDescription:\n"),
        MessagePart(hash=description_hash),
        MessagePart("\n\nRequirements:\n"),
    ]
    return [
        *parts,
        MessagePart(hash=requirements_hash) if requirements_hash else MessagePart("none; `requirements` is empty"),
    ]


def number_requirements(requirements: Sequence[str]) -> str:
    """Number the requirements from 1."""
    return "\n".join(f"{number}. {each}" for number, each in enumerate(requirements, 1))


def list_section(kind: str, lines: Iterable[str]) -> str:
    """Return a list of names under a heading; an empty text where there are none."""
    told = "\n".join(lines)
    return f"{kind}:\n{told}\n" if told else ""


def signature(name: str, schema: Mapping[str, Any]) -> str:
    """Return a tool or workflow with its parameters, as in `query_costs(period, group_by?)`; `?`: optional."""
    properties = schema.get("properties")
    required = schema.get("required", ())
    names = properties if isinstance(properties, Mapping) else ()
    return f"{name}({', '.join(each if each in required else f'{each}?' for each in names)})"
