"""Adapters on the library `cryptography`. Importing it takes several MiB, so it is imported when it is first used."""
