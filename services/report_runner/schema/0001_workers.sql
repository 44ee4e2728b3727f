-- How many workers there should be in all: one row.
CREATE TABLE workers (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    desired integer NOT NULL CHECK (desired >= 0),
    changed_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO workers (desired) VALUES (4);

-- The live instances, each of which runs its share of them.
CREATE TABLE instances (
    holder uuid PRIMARY KEY,
    seen_at timestamptz NOT NULL
) WITH (fillfactor = 50);
