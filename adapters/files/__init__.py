"""Definitions and policies that are read from files."""
