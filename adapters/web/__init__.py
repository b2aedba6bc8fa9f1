"""HTTP to the outside: pages, webhooks, and the guard of addresses."""
