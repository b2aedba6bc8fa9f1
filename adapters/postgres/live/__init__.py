"""Live frames: the events they are made from, and the counts their numbers depend on."""
