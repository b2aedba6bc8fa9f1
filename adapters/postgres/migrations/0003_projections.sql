-- How far each projection has come. The row is locked by whoever moves it.
CREATE TABLE projection_positions (
    projection text PRIMARY KEY,
    position bigint NOT NULL DEFAULT 0,
    moved_at timestamptz NOT NULL DEFAULT now()
);

-- Events that a projection could not take, and the later ones of the same streams.
CREATE TABLE projection_dead_letters (
    projection text NOT NULL,
    position bigint NOT NULL,
    stream text COLLATE "C" NOT NULL,
    error text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (projection, position)
);
CREATE INDEX projection_dead_letters_stream ON projection_dead_letters (projection, stream);
