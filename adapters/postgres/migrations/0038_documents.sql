-- Documents: a view, each with its newest generation.
CREATE TABLE documents (
    tenant_id text COLLATE "C" NOT NULL,
    document_id text COLLATE "C" NOT NULL,
    collection text COLLATE "C" NOT NULL,
    status text NOT NULL,
    generation bigint NOT NULL,
    indexed_generation bigint NOT NULL,
    source text NOT NULL,
    kind text NOT NULL,
    title_hash text NOT NULL,
    metadata_hash text NOT NULL,
    url_hash text,
    size bigint NOT NULL,
    chunks bigint NOT NULL,
    words bigint NOT NULL,
    pages bigint,
    tokens bigint NOT NULL,
    model text COLLATE "C",
    dimensions bigint,
    code text,
    reason text,
    submitted_by text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, document_id)
);
CREATE INDEX documents_collection ON documents (tenant_id, collection, document_id);
CREATE INDEX documents_processing ON documents (updated_at) WHERE status = 'processing';

-- The index. No view: it is made of texts and embeddings, which `reindex-knowledge` makes anew. A document's row names
-- the generation that can be found, so one row is the swap from one generation to the next.
CREATE TABLE knowledge_documents (
    owner text COLLATE "C" PRIMARY KEY,
    tenant_id text COLLATE "C" NOT NULL,
    document_id text COLLATE "C" NOT NULL,
    collection text COLLATE "C" NOT NULL,
    generation bigint NOT NULL,
    title text NOT NULL,
    metadata jsonb NOT NULL,
    dated date NOT NULL,
    model text COLLATE "C" NOT NULL,
    dimensions integer NOT NULL,
    chunks integer NOT NULL,
    words bigint NOT NULL
);
CREATE INDEX knowledge_documents_collection ON knowledge_documents (tenant_id, collection);
CREATE INDEX knowledge_documents_id ON knowledge_documents (tenant_id, document_id);
CREATE INDEX knowledge_documents_dated ON knowledge_documents (tenant_id, dated);
CREATE INDEX knowledge_documents_model ON knowledge_documents (tenant_id, model);
CREATE INDEX knowledge_documents_metadata ON knowledge_documents USING gin (metadata jsonb_path_ops);

CREATE TABLE knowledge_chunks (
    owner text COLLATE "C" NOT NULL,
    generation bigint NOT NULL,
    number integer NOT NULL,
    body text NOT NULL,
    heading text NOT NULL,
    page integer,
    words integer NOT NULL,
    terms tsvector NOT NULL,
    dimensions integer NOT NULL,
    embedding halfvec NOT NULL,
    PRIMARY KEY (owner, generation, number)
);
CREATE INDEX knowledge_chunks_terms ON knowledge_chunks USING gin (terms);
-- Vectors of other lengths get an index of their own when the first of them comes.
CREATE INDEX knowledge_chunks_embedding_384 ON knowledge_chunks
    USING hnsw ((embedding::halfvec(384)) halfvec_cosine_ops) WHERE dimensions = 384;

-- Generations that are being indexed, and their chunks that are not embedded yet.
CREATE TABLE knowledge_indexing (
    owner text COLLATE "C" NOT NULL,
    generation bigint NOT NULL,
    total integer NOT NULL,
    done integer NOT NULL,
    words bigint NOT NULL,
    pages integer,
    tokens bigint NOT NULL,
    model text NOT NULL,
    dimensions integer NOT NULL,
    PRIMARY KEY (owner, generation)
);
CREATE TABLE knowledge_staged_chunks (
    owner text COLLATE "C" NOT NULL,
    generation bigint NOT NULL,
    number integer NOT NULL,
    body text NOT NULL,
    heading text NOT NULL,
    page integer,
    PRIMARY KEY (owner, generation, number)
);

-- What is stored of an erased document is dropped, like its texts.
CREATE TRIGGER knowledge_documents_erased BEFORE INSERT ON knowledge_documents
    FOR EACH ROW EXECUTE FUNCTION drop_erased_content();
CREATE TRIGGER knowledge_chunks_erased BEFORE INSERT ON knowledge_chunks
    FOR EACH ROW EXECUTE FUNCTION drop_erased_content();
CREATE TRIGGER knowledge_indexing_erased BEFORE INSERT ON knowledge_indexing
    FOR EACH ROW EXECUTE FUNCTION drop_erased_content();
CREATE TRIGGER knowledge_staged_chunks_erased BEFORE INSERT ON knowledge_staged_chunks
    FOR EACH ROW EXECUTE FUNCTION drop_erased_content();
