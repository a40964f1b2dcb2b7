-- When the window that is being filled ends by the clock, Unix epoch, ms; NULL: not before more rows come.
ALTER TABLE monitor ADD COLUMN due_ms bigint;
CREATE INDEX monitor_due ON monitor (due_ms) WHERE due_ms IS NOT NULL;
