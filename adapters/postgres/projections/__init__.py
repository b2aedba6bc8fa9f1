"""Running, leasing and rebuilding projections."""
