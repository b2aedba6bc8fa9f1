"""The turn of a session that a model call, a tool call or an approval belongs to."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TurnRef:
    """One turn of a session and the message it answers."""

    session_id: str
    turn: int
    message_id: str
    message_hash: str
    agent_id: str
    agent_version: int
    key_id: str
    because: str
