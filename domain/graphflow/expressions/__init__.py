"""Expressions (CEL) and templates: types, cost and evaluation."""
