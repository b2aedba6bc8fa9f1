"""The supervisor: starts, watches and stops all processes of one machine."""
