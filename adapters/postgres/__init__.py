"""PostgreSQL: the ledger's recorder, the content store, the views and their migrations."""
