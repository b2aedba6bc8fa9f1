"""Runs, whatever their kind: the dependencies of the services that start them, and how they are started and read."""
