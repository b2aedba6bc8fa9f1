"""Costs: every model call as a small transaction.

A call is reserved before it is made and settled, failed or given up as unknown afterwards; the books show all of it.
"""
