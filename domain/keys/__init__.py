"""API keys: whose each is, and what it may do.

Only their hashes are kept. A key belongs to a tenant, and so does what is made with it.
"""
