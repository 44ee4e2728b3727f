-- Reports that no customer asked for: in no business metric and no fact of scaling, and soon forgotten.
ALTER TABLE reports ADD COLUMN synthetic boolean NOT NULL DEFAULT false;
CREATE INDEX reports_synthetic ON reports (finished_at) WHERE synthetic;
