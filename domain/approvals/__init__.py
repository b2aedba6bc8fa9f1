"""Approvals: decisions of people that runs wait for.

Exactly one decision counts, whatever the race; all steps are events.
"""
