"""The health of the agents, from their turns of the last while."""
