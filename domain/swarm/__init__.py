"""Swarms: several agents on one task.

A mode is a plan: given the turns so far, it decides the next turns and the end.
"""
