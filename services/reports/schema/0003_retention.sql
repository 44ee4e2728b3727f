CREATE INDEX reports_ended ON reports (finished_at) WHERE finished_at IS NOT NULL;
