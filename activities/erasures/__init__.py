"""Activities of erasures: find what belongs to a subject, stop it, and remove its texts."""
