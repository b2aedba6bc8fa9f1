"""Workflows drawn as graphs: nodes that do work, edges with conditions, joins and bounded loops.

A definition is data, proven before it runs; what is ready next is a pure function of what has finished.
"""
