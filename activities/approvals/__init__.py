"""Approvals: carrying out instructions, and the notices sent of them."""
