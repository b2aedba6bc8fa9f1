"""HTTP rules shared by all routes; imports no concept."""
