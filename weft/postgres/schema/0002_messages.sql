-- next_attempt_at: null, ready; infinity, waits for an earlier message of its key; else the time
-- of the next attempt at a message that the broker refused.
CREATE TABLE weft.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id uuid NOT NULL,
    ordering_key text,
    exchange text NOT NULL,
    routing_key text NOT NULL,
    type text NOT NULL,
    version integer NOT NULL,
    body bytea NOT NULL,
    headers jsonb NOT NULL,
    correlation_id text NOT NULL,
    reply_to text,
    priority smallint,
    mandatory boolean NOT NULL,
    at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
);

CREATE INDEX outbox_ready ON weft.outbox (id) WHERE next_attempt_at IS NULL;
CREATE INDEX outbox_held ON weft.outbox (ordering_key, id) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX outbox_due ON weft.outbox (next_attempt_at) WHERE next_attempt_at IS NOT NULL;

-- Partitions by day are made ahead and dropped after 7 days by the maintenance task.
CREATE TABLE weft.inbox (
    message_id uuid NOT NULL,
    consumer text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (message_id, consumer)
) PARTITION BY RANGE (message_id);
