"""The agents that ship with the platform."""

from collections import Counter
from pathlib import Path

import pytest

from adapters.files.agents import load_agent_files
from domain.agents.definition import AgentDefinition
from domain.agents.tools import TOOLS
from domain.errors import Invalid

DIRECTORY = Path(__file__).parents[2] / "agents"

COLORS = {
    "ali_chief_of_staff": "#4A90E2",
    "amy_cfo": "#16A085",
    "andrea_customer_success_manager": "#20B2AA",
    "angela_da": "#F18F01",
    "antonio_strategy_expert": "#C0392B",
    "ava_analytics_virtuoso": "#9C27B0",
    "baccio_tech_architect": "#34495E",
    "behice_cultural_coach": "#D35400",
    "coach_team_coach": "#27AE60",
    "dan_engineering_gm": "#2ECC71",
    "dave_change_management_specialist": "#8E44AD",
    "davide_project_manager": "#2C3E50",
    "diana_performance_dashboard": "#E91E63",
    "domik_mckinsey_strategic_decision_maker": "#2C5530",
    "dr_enzo_healthcare_compliance_manager": "#228B22",
    "elena_legal_compliance_expert": "#8B4513",
    "enrico_business_process_engineer": "#E67E22",
    "ethan_da": "#C73E1D",
    "ethan_ic6da": "#2E86AB",
    "fabio_sales_business_development": "#32CD32",
    "giulia_hr_talent_acquisition": "#FF6347",
    "guardian_ai_security_validator": "#FF4444",
    "jenny_inclusive_accessibility_champion": "#9B59B6",
    "jony_creative_director": "#F39C12",
    "luca_security_expert": "#800080",
    "luke_program_manager": "#3498DB",
    "marco_devops_engineer": "#1F77B4",
    "marcus_context_memory_keeper": "#607D8B",
    "marcus_pm": "#2F4858",
    "matteo_strategic_business_architect": "#1ABC9C",
    "michael_vc": "#7A306C",
    "oliver_pm": "#03B5AA",
    "omri_data_scientist": "#9B59B6",
    "po_prompt_optimizer": "#FF6B35",
    "riccardo_storyteller": "#E74C3C",
    "sam_startupper": "#E74C3C",
    "sara_ux_ui_designer": "#FF69B4",
    "satya_board_of_directors": "#8E44AD",
    "socrates_first_principles_reasoning": "#8B4513",
    "sofia_marketing_strategist": "#FF1493",
    "sophia_govaffairs": "#7A306C",
    "stefano_design_thinking_facilitator": "#F1C40F",
    "steve_executive_communication_strategist": "#95A5A6",
    "taskmaster_strategic_task_decomposition_master": "#BDC3C7",
    "thor_quality_assurance_guardian": "#9B59B6",
    "wanda_workflow_orchestrator": "#FF6B6B",
    "wiz_investor_venture_capital": "#B22222",
    "xavier_coordination_patterns": "#2E7D32",
}


@pytest.fixture(scope="module")
def agents() -> dict[str, AgentDefinition]:
    return {definition.id: definition for definition in load_agent_files(DIRECTORY)}


def test_the_48_agents_are_there_in_their_colours(agents: dict[str, AgentDefinition]) -> None:
    assert {agent.id: agent.color for agent in agents.values()} == COLORS
    assert len(agents) == 48


def test_agents_are_loaded_in_the_order_of_their_ids(agents: dict[str, AgentDefinition]) -> None:
    assert list(agents) == sorted(agents)


def test_an_agent_is_called_by_name_and_role(agents: dict[str, AgentDefinition]) -> None:
    assert agents["ali_chief_of_staff"].name == "Ali - Chief of Staff"
    assert all(" - " in agent.name for agent in agents.values())
    assert len({agent.name for agent in agents.values()}) == 48


def test_ava_answers_to_her_longer_id_too(agents: dict[str, AgentDefinition]) -> None:
    assert agents["ava_analytics_virtuoso"].aliases == ("ava_analytics_insights_virtuoso",)


def test_no_two_agents_share_a_sentence_of_instruction(agents: dict[str, AgentDefinition]) -> None:
    lines = Counter(
        line for agent in agents.values() for line in set(agent.instructions.splitlines()) if len(line) > 40
    )
    assert [line for line, times in lines.items() if times > 1] == []


def test_instructions_are_neither_a_slogan_nor_a_book(agents: dict[str, AgentDefinition]) -> None:
    assert [a.id for a in agents.values() if not 150 <= len(a.instructions.split()) <= 300] == []


def test_every_agent_names_three_to_six_capabilities_and_known_tools(agents: dict[str, AgentDefinition]) -> None:
    assert [a.id for a in agents.values() if not 3 <= len(a.capabilities) <= 6] == []
    assert [a.id for a in agents.values() if not a.tools or set(a.tools) - set(TOOLS)] == []


def test_an_agent_hands_over_only_to_agents_that_exist(agents: dict[str, AgentDefinition]) -> None:
    named = {word for a in agents.values() for word in a.instructions.split("`")[1::2] if "_" in word}
    assert named <= set(agents)
    assert [a.id for a in agents.values() if f"`{a.id}`" in a.instructions] == []


def _write(directory: Path, stem: str, /, **changed: str) -> None:
    fields = {"id": stem, "name": "Ada - Tester", "description": "Tests.", "color": '"#123456"', "tools": "[delegate]"}
    lines = [f"{field}: {value}" for field, value in {**fields, **changed}.items() if value]
    (directory / f"{stem}.md").write_text("\n".join(["---", *lines, "---", "", "You are Ada."]))


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"tools": "[delegate, teleport]"}, "tools"),
        ({"color": "red"}, "color"),
        ({"description": ""}, "description"),
        ({"mood": "sunny"}, "mood"),
        ({"temperature": "hot"}, "temperature"),
        ({"capabilities": "[a, b, a]"}, "capabilities"),
        ({"id": "somebody_else"}, "id"),
        ({"name": "Ada: Tester: twice"}, "front matter"),
        ({"instructions": "above the line"}, "instructions"),
    ],
)
def test_a_file_that_defines_no_agent_is_refused_by_file_and_field(
    tmp_path: Path, changed: dict[str, str], field: str
) -> None:
    _write(tmp_path, "ada", **changed)
    with pytest.raises(Invalid, match=rf"^ada\.md: {field}: ") as refusal:
        load_agent_files(tmp_path)
    assert refusal.value.details["field"] == field
    assert refusal.value.details["file"] == "ada.md"


def test_an_unknown_tool_is_named_beside_the_known_ones(tmp_path: Path) -> None:
    _write(tmp_path, "ada", tools="[teleport]")
    with pytest.raises(Invalid, match="unknown: teleport; known are search_knowledge, "):
        load_agent_files(tmp_path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ada.md").write_text("")
    with pytest.raises(Invalid, match=r"^ada\.md: id: Field required"):
        load_agent_files(tmp_path)


def test_an_alias_that_names_another_agent_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, "ada")
    _write(tmp_path, "bob", aliases="[ada]")
    with pytest.raises(Invalid, match=r"^bob\.md: aliases: ada already names ada"):
        load_agent_files(tmp_path)


def test_two_agents_cannot_share_an_alias(tmp_path: Path) -> None:
    _write(tmp_path, "ada", aliases="[countess]")
    _write(tmp_path, "bob", aliases="[countess]")
    with pytest.raises(Invalid, match=r"^bob\.md: aliases: countess already names ada"):
        load_agent_files(tmp_path)
