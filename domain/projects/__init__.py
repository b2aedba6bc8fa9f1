"""Projects: work for a client, with members and a budget.

Their names and descriptions are content, so that they can be erased; events contain hashes.
"""
