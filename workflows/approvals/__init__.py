"""Approvals as workflows."""
