"""Approvals: requests, decisions and the inbox."""
