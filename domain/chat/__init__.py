"""Chat: sessions of turns between a person and an agent.

A turn is one message and what became of it: answered or failed. Every turn of the platform goes this way.
"""
