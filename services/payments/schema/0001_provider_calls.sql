CREATE TABLE provider_calls (
    payment_id uuid PRIMARY KEY,
    call text NOT NULL CHECK (call IN ('authorize', 'inquire', 'capture', 'void')),
    order_id uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor >= 1),
    currency text NOT NULL,
    token text CHECK ((token IS NOT NULL) = (call = 'authorize')),
    carrier jsonb NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    opened_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL DEFAULT now(),
    claimed_by text
) WITH (fillfactor = 70);

COMMENT ON TABLE provider_calls IS
    'Calls of the card provider that are still to succeed, one at most for a payment; the state is in the event log.';
COMMENT ON COLUMN provider_calls.token IS 'Gone as soon as the provider has answered.';
COMMENT ON COLUMN provider_calls.carrier IS 'The trace that the call belongs to.';
COMMENT ON COLUMN provider_calls.due_at IS
    'When to call; for a claimed row, when the claim lapses.';

CREATE INDEX provider_calls_due ON provider_calls (due_at);
