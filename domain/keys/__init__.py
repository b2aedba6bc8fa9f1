"""API keys: whose each is, what it may do, until when, and which of its texts are valid.

Only hashes of the texts are kept. A key belongs to a tenant, and so does what is made with it.
"""
