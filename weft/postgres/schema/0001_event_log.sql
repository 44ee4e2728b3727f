-- One row for each stream. `tx` is the transaction of its newest event: appending from an older
-- transaction would turn the stream round for readers that go by (tx, position), so it is refused.
CREATE TABLE weft.streams (
    id text PRIMARY KEY,
    kind text NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    tx xid8 NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);

CREATE TABLE weft.events (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    stream text NOT NULL,
    version bigint NOT NULL,
    type text NOT NULL,
    schema_version integer NOT NULL,
    data jsonb NOT NULL,
    meta jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (stream, version)
);

CREATE INDEX events_by_transaction ON weft.events (tx, position);

-- generation: a projection that is being rebuilt reads beside the live one until it is switched.
CREATE TABLE weft.projections (
    name text NOT NULL,
    generation integer NOT NULL,
    live boolean NOT NULL,
    tx xid8 NOT NULL DEFAULT '0',
    position bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, generation)
);

CREATE UNIQUE INDEX projections_live ON weft.projections (name) WHERE live;
