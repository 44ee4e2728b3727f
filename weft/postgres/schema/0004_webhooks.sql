-- Where webhooks go: to services of the mesh (no owner), or to what a customer registered.
-- `guarded`: the URL is a stranger's, so private addresses are refused.
CREATE TABLE weft.webhook_endpoints (
    name text PRIMARY KEY,
    owner text,
    url text NOT NULL,
    events text[] NOT NULL DEFAULT '{}',
    guarded boolean NOT NULL,
    disabled_at timestamptz,
    disabled_why text,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX webhook_endpoints_by_owner ON weft.webhook_endpoints (owner, name);

-- next_attempt_at: null once it is delivered or failed. While an attempt is under way it is the
-- time at which another instance may try, and `attempts` fences. `replayed_after`: the schedule
-- began anew after that many attempts.
CREATE TABLE weft.webhooks (
    endpoint text NOT NULL REFERENCES weft.webhook_endpoints (name) ON DELETE CASCADE,
    id text NOT NULL,
    type text NOT NULL,
    body bytea NOT NULL,
    carrier jsonb NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts integer NOT NULL DEFAULT 0,
    replayed_after integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz DEFAULT clock_timestamp(),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    PRIMARY KEY (endpoint, id)
) WITH (fillfactor = 70);

CREATE INDEX webhooks_due ON weft.webhooks (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX webhooks_due_by_endpoint ON weft.webhooks (endpoint, next_attempt_at)
    WHERE next_attempt_at IS NOT NULL;
CREATE INDEX webhooks_ended ON weft.webhooks (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE weft.webhook_attempts (
    endpoint text NOT NULL,
    id text NOT NULL,
    number integer NOT NULL,
    at timestamptz NOT NULL,
    seconds real NOT NULL,
    status smallint,
    error text,
    PRIMARY KEY (endpoint, id, number),
    FOREIGN KEY (endpoint, id) REFERENCES weft.webhooks (endpoint, id) ON DELETE CASCADE
);

-- Webhooks that this service has received: a replayed one is known here.
CREATE TABLE weft.webhook_receipts (
    source text NOT NULL,
    id text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, id)
);

CREATE INDEX webhook_receipts_by_age ON weft.webhook_receipts (at);
