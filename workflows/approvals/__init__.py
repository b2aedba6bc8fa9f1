"""Approvals as workflows: each waits for people's decisions."""
