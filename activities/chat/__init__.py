"""Chat: the steps of a turn, from prompt to reply."""
