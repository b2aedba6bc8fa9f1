"""Approvals: applying decisions and instructions, and sending webhook notifications about them."""
