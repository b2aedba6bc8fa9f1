"""The catalogue: workflow definitions, their versions and names."""
