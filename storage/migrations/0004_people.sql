-- What owners say about their machines in the chat.
ALTER TABLE workers ADD COLUMN paused_ms INTEGER NOT NULL DEFAULT 0; -- since when it takes nothing new by its owner's word; 0 = it does
ALTER TABLE workers ADD COLUMN limits TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(limits));

-- A job that only one worker may do: a test of it. 0 = any.
ALTER TABLE jobs ADD COLUMN only_worker INTEGER NOT NULL DEFAULT 0;

CREATE INDEX jobs_member ON jobs (member, id);
CREATE INDEX jobs_earned ON jobs (community, ended_ms, earner, member, json_extract(bill, '$.paid')) WHERE earner IS NOT NULL; -- the leaderboard, without reading jobs

-- How long each worker was there on each day (UTC, days since 1970).
CREATE TABLE uptimes (
	worker  INTEGER NOT NULL REFERENCES workers (id),
	day     INTEGER NOT NULL,
	seconds INTEGER NOT NULL CHECK (seconds >= 0),
	PRIMARY KEY (worker, day)
) STRICT, WITHOUT ROWID;

-- What was asked for and could not be done, without who asked and what for.
CREATE TABLE wishes (
	day       INTEGER NOT NULL, -- days since 1970
	kind      TEXT NOT NULL CHECK (kind IN ('chat', 'image', 'translate')),
	model     TEXT NOT NULL,
	from_lang TEXT NOT NULL,
	to_lang   TEXT NOT NULL,
	times     INTEGER NOT NULL CHECK (times > 0),
	last_ms   INTEGER NOT NULL,
	PRIMARY KEY (day, kind, model, from_lang, to_lang)
) STRICT, WITHOUT ROWID;

-- A member who wanted to be forgotten keeps the row, because the ledger refers to it, and nothing else. What such a member still earns goes to
-- the pool of the community in heir.
ALTER TABLE members ADD COLUMN forgotten_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE members ADD COLUMN heir TEXT NOT NULL DEFAULT '';
CREATE INDEX members_forgotten ON members (id) WHERE forgotten_ms > 0;
CREATE INDEX requests_member ON requests (member);
CREATE INDEX actions_owner ON actions (owner) WHERE owner IS NOT NULL;

-- What the operator set while the program ran; it wins over the configuration.
CREATE TABLE house_settings (
	name       TEXT PRIMARY KEY CHECK (name != ''),
	value      TEXT NOT NULL,
	by_member  INTEGER NOT NULL REFERENCES members (id),
	changed_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
