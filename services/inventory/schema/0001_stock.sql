CREATE TABLE products (
    sku text PRIMARY KEY CHECK (sku ~ '^[A-Za-z0-9-]{1,40}$'),
    number bigint NOT NULL GENERATED ALWAYS AS IDENTITY UNIQUE,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    price_minor bigint NOT NULL CHECK (price_minor BETWEEN 1 AND 999999999),
    currency text NOT NULL CHECK (currency = 'EUR'),
    revision bigint NOT NULL DEFAULT 1,
    stock bigint NOT NULL CHECK (stock >= 0),
    reserved bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    sold bigint NOT NULL DEFAULT 0 CHECK (sold >= 0)
) WITH (fillfactor = 50);

COMMENT ON COLUMN products.number IS 'Order of creation: what lists are sorted by.';
COMMENT ON COLUMN products.revision IS 'Counts the settings of name, price and stock, not the movements of stock.';

CREATE TABLE stock_movements (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    sku text NOT NULL REFERENCES products,
    difference bigint NOT NULL,
    subject text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE stock_movements IS
    'What was put in or taken out by hand: by SKU, the sum of differences = stock + reserved + sold.';

CREATE INDEX stock_movements_sku ON stock_movements (sku, id);

CREATE TABLE reservations (
    order_id uuid PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('reserved', 'rejected', 'released', 'committed')),
    skus text[] NOT NULL,
    quantities bigint[] NOT NULL,
    short_sku text CHECK ((short_sku IS NOT NULL) = (state = 'rejected')),
    made_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    CHECK (cardinality(skus) = cardinality(quantities))
) WITH (fillfactor = 80);

COMMENT ON TABLE reservations IS
    'One row an order. A row released without lines is the trace of a release that overtook its reservation.';
