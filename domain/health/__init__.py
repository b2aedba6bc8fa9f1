"""Health: whether what the platform stands on answers now.

Each thing is really asked, with a time limit; nothing is assumed from its being configured.
"""
