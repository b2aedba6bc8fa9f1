"""Routes of tenants."""
