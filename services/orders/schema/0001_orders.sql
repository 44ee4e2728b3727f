-- What a list of orders needs, written in the transaction that appends to the order's stream.
CREATE TABLE orders (
    order_id    uuid PRIMARY KEY,
    subject     text NOT NULL,
    status      text NOT NULL CHECK (status IN ('pending', 'confirmed', 'rejected')),
    reason      text CHECK (reason IN ('out_of_stock', 'payment_declined', 'timed_out')),
    items       jsonb NOT NULL,
    total_minor bigint NOT NULL,
    currency    text NOT NULL,
    trace_id    text NOT NULL,
    placed_at   timestamptz NOT NULL,
    finished_at timestamptz
);
CREATE INDEX orders_of_subject ON orders (subject, order_id DESC);
CREATE INDEX orders_pending ON orders (order_id) WHERE status = 'pending';

-- Products as inventory told of them; a lower revision came late, 0 was asked for.
CREATE TABLE catalogue (
    sku         text PRIMARY KEY,
    name        text NOT NULL,
    price_minor bigint NOT NULL,
    currency    text NOT NULL,
    revision    bigint NOT NULL
);

-- A payment token lives here from placement to AuthorizePayment, and nowhere else.
CREATE TABLE payment_tokens (
    order_id uuid PRIMARY KEY,
    token    text NOT NULL
);
