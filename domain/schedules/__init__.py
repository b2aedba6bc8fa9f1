"""Schedules: work that begins at set times, as if its maker had requested it then.

The ledger has the definitions and each firing; the timer itself is a schedule in Temporal, derived from the definition.
"""
