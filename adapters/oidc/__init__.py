"""Tokens of identity providers that speak OpenID Connect."""
