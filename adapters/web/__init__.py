"""Outgoing HTTP: pages, webhooks, and the guard of addresses."""
