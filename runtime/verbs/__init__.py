"""Bodies of verbs of the command line."""
