-- Orders that nobody made: they count in no business metric.
ALTER TABLE orders ADD COLUMN synthetic boolean NOT NULL DEFAULT false;
