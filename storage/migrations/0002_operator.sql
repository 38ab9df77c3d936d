-- What the operator's view reads stands in indexes of its own, so that looking at a week of jobs never reads the jobs themselves.

ALTER TABLE jobs ADD COLUMN started_ms INTEGER; -- when a worker first got it; NULL: none ever did
ALTER TABLE jobs ADD COLUMN worker INTEGER REFERENCES workers (id); -- who did it; NULL unless done

UPDATE jobs SET
	started_ms = (SELECT min(a.started_ms) FROM attempts a WHERE a.job = jobs.id),
	worker = (SELECT a.worker FROM attempts a WHERE a.job = jobs.id AND a.outcome = 'done');

CREATE INDEX jobs_history ON jobs (ended_ms, kind, state, created_ms, started_ms, earner, worker, json_extract(bill, '$.seconds'), json_extract(bill, '$.paid'))
	WHERE ended_ms IS NOT NULL;
CREATE INDEX jobs_failed ON jobs (ended_ms) WHERE state = 'failed';
CREATE INDEX attempts_faults ON attempts (ended_ms, worker, outcome) WHERE outcome IN ('lost', 'engine', 'expired', 'rejected', 'request', 'restart');
