"""The agent ecosystem: the health of each agent, judged by its turns of the last while. It has no events."""
