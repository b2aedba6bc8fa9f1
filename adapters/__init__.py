"""The only code that imports a client library."""
