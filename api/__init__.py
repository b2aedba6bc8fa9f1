"""HTTP: one thin module per concept."""
