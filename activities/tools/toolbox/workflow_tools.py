"""Tools that the turn's own workflow carries out: it delegates to another agent, or requests an approval."""

from domain.tools.spec import ToolSpec

DELEGATE = ToolSpec(
    name="delegate",
    description=(
        "Give a task to another agent and get its answer. That agent knows nothing of this conversation: "
        "write down all it needs."
    ),
    parameters={
        "type": "object",
        "properties": {
            "agent_id": {
                "type": "string",
                "pattern": "^[a-z][a-z0-9_]{1,63}$",
                "description": "The agent's id, such as amy_cfo.",
            },
            "task": {
                "type": "string",
                "minLength": 1,
                "maxLength": 20_000,
                "description": "What it is to do, and what it has to know for that.",
            },
        },
        "required": ["agent_id", "task"],
        "additionalProperties": False,
    },
    effect="write",
    runs="delegate",
)

REQUEST_APPROVAL = ToolSpec(
    name="request_approval",
    description=(
        "Ask a person to approve something before you go on, and wait for the decision. They may edit the content: "
        "what you get back is what they approved."
    ),
    parameters={
        "type": "object",
        "properties": {
            "title": {
                "type": "string",
                "minLength": 1,
                "maxLength": 200,
                "description": "What is to be decided, in one line.",
            },
            "content": {
                "type": "string",
                "minLength": 1,
                "maxLength": 20_000,
                "description": "The whole of what is to be approved, as it will be used.",
            },
            "risk_level": {
                "type": "string",
                "enum": ["low", "medium", "high", "critical"],
                "description": "The harm it could do; it determines who decides, and how long they have.",
            },
        },
        "required": ["title", "content", "risk_level"],
        "additionalProperties": False,
    },
    effect="write",
    runs="approval",
)
