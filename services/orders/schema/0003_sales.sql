-- What was sold: a row for each line of each confirmed order of a customer, made from the event log by the
-- projection `sales`. Every generation of it has rows of its own; the views show the live one.
CREATE TABLE sales (
    generation  integer NOT NULL,
    order_id    uuid NOT NULL,
    line        smallint NOT NULL,
    sold_at     timestamptz NOT NULL,
    day         date NOT NULL GENERATED ALWAYS AS ((sold_at AT TIME ZONE 'UTC')::date) STORED,
    sku         text NOT NULL,
    name        text NOT NULL,
    quantity    integer NOT NULL,
    price_minor bigint NOT NULL,
    currency    text NOT NULL,
    PRIMARY KEY (generation, order_id, line)
);
CREATE INDEX sales_by_day ON sales (generation, day, sku);

-- The contract with those who read: a view's columns may grow at the end; any other change is a new schema,
-- read_v2, beside this one. It is open to whoever may connect to this database: beside the service itself
-- that is the role that only reads.
CREATE SCHEMA read_v1;

-- Amounts in minor units of the currency; `day` is that of UTC.
CREATE VIEW read_v1.sales AS
SELECT day, sold_at, order_id, line, sku, name, quantity, price_minor,
       quantity * price_minor AS amount_minor, currency
FROM public.sales
WHERE generation = (SELECT generation FROM weft.projections WHERE name = 'sales' AND live);

CREATE VIEW read_v1.sales_by_day AS
SELECT day, sku, name, currency, count(DISTINCT order_id) AS orders,
       sum(quantity)::bigint AS quantity, sum(amount_minor)::bigint AS amount_minor
FROM read_v1.sales
GROUP BY day, sku, name, currency;

GRANT USAGE ON SCHEMA read_v1 TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA read_v1 TO PUBLIC;
