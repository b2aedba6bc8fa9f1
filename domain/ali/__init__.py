"""Ali: the entry point for questions.

Insights from the views, and the choice of agents for a task.
"""
