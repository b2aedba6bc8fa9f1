-- Vectors of the knowledge store live in this database too.
CREATE EXTENSION IF NOT EXISTS vector;
