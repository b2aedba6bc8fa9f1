"""Figures for operators who watch the whole platform."""
