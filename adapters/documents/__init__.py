"""Reads documents as text. Each file is read in a process of its own kind, which can be given up."""
