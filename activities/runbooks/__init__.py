"""Steps of runbooks, as activities."""
