"""Swarms: tasks that several agents work on."""
