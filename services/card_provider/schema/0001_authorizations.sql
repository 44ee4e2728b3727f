CREATE TABLE authorizations (
    payment_id uuid PRIMARY KEY,
    number bigint NOT NULL GENERATED ALWAYS AS IDENTITY UNIQUE,
    amount_minor bigint CHECK (amount_minor >= 1),
    currency text,
    status text CHECK (status IN ('pending', 'authorized', 'declined', 'captured', 'voided')),
    reason text,
    calls integer NOT NULL DEFAULT 0,
    authorized_at timestamptz,
    captured_at timestamptz,
    voided_at timestamptz,
    notice_due_at timestamptz,
    notice_attempts integer NOT NULL DEFAULT 0,
    carrier jsonb,
    CHECK ((amount_minor IS NULL) = (currency IS NULL)),
    CHECK ((captured_at IS NOT NULL) = (status IS NOT DISTINCT FROM 'captured')),
    CHECK ((voided_at IS NOT NULL) = (status IS NOT DISTINCT FROM 'voided'))
);

COMMENT ON COLUMN authorizations.amount_minor IS 'Absent where a void came before the authorisation.';
COMMENT ON COLUMN authorizations.status IS 'Absent while every call so far has failed.';
COMMENT ON COLUMN authorizations.notice_due_at IS 'When the webhook is to be called; absent if there is nothing to tell.';
COMMENT ON COLUMN authorizations.carrier IS 'The trace that the notice belongs to.';

CREATE INDEX authorizations_notice_due ON authorizations (notice_due_at)
    WHERE notice_due_at IS NOT NULL;

CREATE TABLE idempotency_keys (
    key text NOT NULL,
    action text NOT NULL CHECK (action IN ('authorize', 'capture', 'void')),
    payment_id uuid NOT NULL,
    amount_minor bigint NOT NULL,
    PRIMARY KEY (key, action)
);

COMMENT ON COLUMN idempotency_keys.amount_minor IS '0 for actions without an amount.';
