"""Documents, embeddings and searches."""
