"""Projects: work for a client, its members, its budget, and everything that is linked to it."""
