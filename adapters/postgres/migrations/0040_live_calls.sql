-- Model calls whose live frames were shown to somebody, and their number once the call is closed. Numbers of later
-- frames of the stream depend on it, so it is written once and stays.
CREATE TABLE live_calls (
    stream text COLLATE "C" NOT NULL,
    call_id text COLLATE "C" NOT NULL,
    generation text NOT NULL,
    frames integer,
    PRIMARY KEY (stream, call_id)
);
