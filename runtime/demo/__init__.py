"""The demo: a chat whose worker is killed."""
