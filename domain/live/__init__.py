"""Live frames: what goes on in a conversation, a swarm or an execution, as one numbered stream that can be resumed."""
