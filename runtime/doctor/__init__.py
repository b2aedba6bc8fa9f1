"""The doctor: checks of a machine and its settings."""
