CREATE TABLE alerts (
    group_digest text NOT NULL,
    fingerprint text NOT NULL,
    status text NOT NULL CHECK (status IN ('firing', 'resolved')),
    starts_at timestamptz NOT NULL,
    heard_at timestamptz NOT NULL,
    PRIMARY KEY (group_digest, fingerprint)
);

COMMENT ON TABLE alerts IS 'What was heard last of each alert, so that nobody is told twice.';

CREATE TABLE notices (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    identity uuid NOT NULL UNIQUE,
    group_digest text NOT NULL,
    at timestamptz NOT NULL,
    status text NOT NULL CHECK (status IN ('firing', 'resolved')),
    severity text NOT NULL CHECK (severity IN ('critical', 'warning', 'info')),
    title text NOT NULL,
    alerts jsonb NOT NULL,
    carrier jsonb NOT NULL
);

COMMENT ON TABLE notices IS 'The inbox: every message, whether a channel took it or not.';
COMMENT ON COLUMN notices.carrier IS 'The trace of the webhook that brought it.';

CREATE INDEX notices_of_group ON notices (group_digest, at);

CREATE TABLE deliveries (
    notice bigint NOT NULL REFERENCES notices ON DELETE CASCADE,
    channel text NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'sent', 'failed', 'held', 'counted')),
    attempts integer NOT NULL DEFAULT 0,
    made_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    error text,
    PRIMARY KEY (notice, channel)
);

COMMENT ON COLUMN deliveries.state IS
    'held: one too many of a storm; counted: a later message said how many were held.';

CREATE INDEX deliveries_open ON deliveries (channel, due_at) WHERE state IN ('waiting', 'held');
CREATE INDEX deliveries_made ON deliveries (channel, made_at);
