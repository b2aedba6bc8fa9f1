"""Chat: sessions of turns between a person and an agent.

A turn is one message and its result: answered or failed. All model calls of the platform are made in turns.
"""
