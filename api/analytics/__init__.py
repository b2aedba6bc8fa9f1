"""Analytics: the tenant's figures of a period."""
