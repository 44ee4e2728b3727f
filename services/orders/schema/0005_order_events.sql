-- Orders and what happened to each of them, beside the sales: whose order it is and what its events carry stay
-- inside. Amounts in minor units of the currency.
CREATE VIEW read_v1.orders AS
SELECT order_id, status, reason, total_minor, currency, trace_id, placed_at, finished_at, synthetic
FROM public.orders;

CREATE VIEW read_v1.order_events AS
SELECT orders.order_id, events.version, events.type, events.at
FROM public.orders JOIN weft.events ON events.stream = orders.order_id::text;

GRANT SELECT ON read_v1.orders, read_v1.order_events TO PUBLIC;
