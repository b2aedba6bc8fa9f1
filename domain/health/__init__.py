"""Health: the reachability of the servers that the platform depends on.

Each server is probed, with a time limit; nothing is assumed from its configuration.
"""
