-- A report that a user asked for. The row is the truth; the queue only hands out work. Who makes it
-- has it by `fence`, which grows with each claim, until a deadline row (kind `report`) says that
-- nobody has spoken for it; `expires_at` has one too (kind `report_expiry`). `why`: how the last
-- attempt ended.
CREATE TABLE reports (
    report_id uuid PRIMARY KEY,
    number bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    subject text NOT NULL,
    kind text NOT NULL,
    first_day date NOT NULL,
    end_day date NOT NULL,
    format text NOT NULL,
    priority smallint NOT NULL,
    trace_id text NOT NULL,
    status text NOT NULL DEFAULT 'queued' CHECK
        (status IN ('queued', 'running', 'finished', 'failed', 'expired', 'cancelled')),
    stage text,
    progress smallint NOT NULL DEFAULT 0,
    reason text,
    attempts smallint NOT NULL DEFAULT 0,
    fence bigint NOT NULL DEFAULT 0,
    claim uuid,
    why text,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    finished_at timestamptz,
    artifact text,
    rows bigint,
    bytes bigint
) WITH (fillfactor = 70);

CREATE INDEX reports_of_subject ON reports (subject, report_id);
CREATE INDEX reports_waiting ON reports (created_at) WHERE status = 'queued';
CREATE INDEX reports_running ON reports (report_id) WHERE status = 'running';
