"""Workflows as graphs: nodes that do work, edges with conditions, joins and bounded loops.

A definition is data, validated before it runs; the next ready nodes are a pure function of the finished ones.
"""
