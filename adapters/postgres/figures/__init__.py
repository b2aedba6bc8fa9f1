"""Definitions of figures as SQL. Costs, projects, analytics, agents' health and insights share them."""
