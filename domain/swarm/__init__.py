"""Swarms: several agents on one task.

A mode is a plan: given what has been said, who speaks next and when it is over.
"""
