"""Views of talents, clients and projects, and the counters of their ids."""
