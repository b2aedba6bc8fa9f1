"""Streams of conversations, swarms and executions, over server-sent events and WebSockets."""
