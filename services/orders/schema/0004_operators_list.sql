-- Operators see the newest orders of customers, however many synthetic ones come between.
CREATE INDEX orders_of_customers ON orders (order_id DESC) WHERE NOT synthetic;
CREATE INDEX orders_synthetic ON orders (order_id DESC) WHERE synthetic;
