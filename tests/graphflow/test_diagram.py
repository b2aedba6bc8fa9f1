"""Definitions as Mermaid flowcharts."""

import re

from domain.graphflow.definition.diagram import NodeState, mermaid
from domain.graphflow.definition.documents import parse_definition

DEFINITION = parse_definition("""
name: x
nodes:
  - {id: end, type: agent, agent: ann, prompt: p, title: 'Say "hi" <b>[now]</b> #1;', on_error: {goto: w}}
  - {id: ok, type: approval, title: 'Sure?', content: c}
  - {id: m, type: map, over: '[1]', item: city, node: {type: tool, tool: look}}
  - {id: w, type: wait, event: go}
  - {id: s, type: swarm, agents: [ann, bob], mode: debate, task: t}
edges:
  - {from: end, to: ok, when: 'nodes.end.output == "x | y"'}
  - {from: end, to: m, otherwise: true}
  - {from: m, to: s}
""")


def test_nodes_edges_and_conditions_are_drawn() -> None:
    drawn = mermaid(DEFINITION)
    assert drawn.startswith("flowchart TD\n")
    assert 'n3(("w<br/>for go"))' in drawn
    assert 'n4(["s<br/>debate of 2"])' in drawn
    assert 'n0 -->|"otherwise"| n2' in drawn
    assert "n2 --> n4" in drawn
    assert 'n0 -.->|"on error"| n3' in drawn


def test_labels_hold_nothing_that_mermaid_reads() -> None:
    for label in re.findall(r'"([^"]*)"', mermaid(DEFINITION)):
        assert re.fullmatch(r"(?:[\w .,_…?!-]|#\d+;|<br/>)*", label), label


def test_the_state_of_a_run_is_drawn_in() -> None:
    drawn = mermaid(
        DEFINITION, {"end": NodeState("completed", 3), "ok": NodeState("running", 1), "m": NodeState("odd")}
    )
    assert ", 3 times<br/>ann" in drawn
    assert "class n0 completed" in drawn
    assert "class n1 running" in drawn
    assert "odd" not in drawn
