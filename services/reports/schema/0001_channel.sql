-- A user's channel: the newest number given. Its row is locked by who publishes until the commit,
-- so numbers have no gap and are committed in their order.
CREATE TABLE channels (
    subject text PRIMARY KEY,
    seq bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE channel_messages (
    subject text NOT NULL,
    seq bigint NOT NULL,
    type text NOT NULL,
    id text NOT NULL,
    at timestamptz NOT NULL,
    data jsonb NOT NULL,
    traceparent text NOT NULL,
    PRIMARY KEY (subject, seq)
);

CREATE INDEX channel_messages_by_age ON channel_messages (at);

-- A ticket opens one WebSocket, once; only its hash is here. `until` is when the token ends that it
-- was made with (seconds since the epoch).
CREATE TABLE channel_tickets (
    hash bytea PRIMARY KEY,
    subject text NOT NULL,
    until double precision NOT NULL,
    expires_at timestamptz NOT NULL
);
