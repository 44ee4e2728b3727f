-- Whether the number of workers is being decided anew every second: `woken` by an alert, `awake`
-- once the instance that decides has taken that up.
ALTER TABLE workers ADD COLUMN wake text NOT NULL DEFAULT 'asleep'
    CHECK (wake IN ('asleep', 'woken', 'awake'));

-- What was heard last of each alert that wakes, by its group (a digest of its key) and fingerprint.
CREATE TABLE alerts (
    group_digest text NOT NULL,
    fingerprint text NOT NULL,
    name text NOT NULL,
    firing boolean NOT NULL,
    starts_at timestamptz NOT NULL,
    heard_at timestamptz NOT NULL,
    PRIMARY KEY (group_digest, fingerprint)
);

-- How long the last runs of workers took that came to an end, in seconds.
CREATE TABLE runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ended_at timestamptz NOT NULL DEFAULT now(),
    seconds double precision NOT NULL CHECK (seconds >= 0)
);

-- Decisions on the number of workers: the first and the last of a wake, and each change. `inputs`
-- is all that a decision was made of.
CREATE TABLE decisions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    phase text NOT NULL CHECK (phase IN ('woke', 'changed', 'slept')),
    before integer NOT NULL,
    workers integer NOT NULL,
    reason text NOT NULL,
    alerts text[] NOT NULL,
    inputs jsonb NOT NULL
);

CREATE INDEX decisions_by_time ON decisions (at);
