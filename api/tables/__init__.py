"""Tables of records as CSV: shared by the routes of talents, clients and projects."""
