"""Tools: actions of agents besides answering.

Each call is recorded under an id of its own, so that no retry repeats a side effect.
"""
