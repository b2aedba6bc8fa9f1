"""Analytics: what a tenant's agents have done in a period, how fast and how well.

It reads the views of other concepts, and ratings, of which it has a view of its own.
"""
