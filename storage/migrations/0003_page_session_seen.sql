-- When a session of the page was used last: those that nobody uses any more are forgotten. Nobody knows it of the sessions that are there
-- already, so their time begins now.
ALTER TABLE page_sessions ADD COLUMN seen_ms INTEGER NOT NULL DEFAULT 0;
UPDATE page_sessions SET seen_ms = max(created_ms, unixepoch() * 1000);
CREATE INDEX page_sessions_seen ON page_sessions (seen_ms);
