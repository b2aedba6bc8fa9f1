"""Import of AutoGen teams."""
