"""The tools of this platform itself: each reads what the platform knows, through the ports of its concepts."""
