-- Two members who turn out to be one person: the younger has joined the older, for good. What refers to the younger (jobs, requests, accounts) stays as it
-- is and counts as the older's; nothing joins who joined, so that one step leads to the person.
ALTER TABLE members ADD COLUMN joined INTEGER REFERENCES members (id) CHECK (joined < id);
CREATE INDEX members_joined ON members (joined) WHERE joined IS NOT NULL;

-- The identity whose daily free credits the person has, while several identities belong to it; '' = each identity has its own.
ALTER TABLE members ADD COLUMN free TEXT NOT NULL DEFAULT '';

-- When an identity came to its member by being connected; 0 = the member began with it. Only what came can go again.
ALTER TABLE identities ADD COLUMN joined_ms INTEGER NOT NULL DEFAULT 0;

-- How far two identities are from being one person's. The asker got a code, the typer typed it on the other side and agreed, the asker confirmed.
CREATE TABLE links (
	request       TEXT PRIMARY KEY CHECK (request != ''), -- of the asker
	code          BLOB UNIQUE CHECK (length(code) = 32),  -- SHA-256; NULL once it was typed, or is of no use any more
	asker         TEXT NOT NULL CHECK (asker != ''),
	asker_name    TEXT NOT NULL,
	typer         TEXT NOT NULL DEFAULT '',
	typer_name    TEXT NOT NULL DEFAULT '',
	typer_request TEXT NOT NULL DEFAULT '',
	state         TEXT NOT NULL CHECK (state IN ('open', 'typed', 'agreed', 'joined', 'refused')),
	begun_ms      INTEGER NOT NULL,
	ended_ms      INTEGER NOT NULL DEFAULT 0,
	CHECK ((state = 'open') = (code IS NOT NULL)),
	CHECK (state IN ('open', 'refused') OR typer != '' AND typer_request != '')
) STRICT;
CREATE INDEX links_asker ON links (asker);
CREATE INDEX links_typer ON links (typer) WHERE typer != '';
CREATE INDEX links_begun ON links (begun_ms);

-- Codes that were typed and are none, to slow down who guesses.
CREATE TABLE link_tries (
	identity TEXT NOT NULL,
	at_ms    INTEGER NOT NULL
) STRICT;
CREATE INDEX link_tries_at ON link_tries (at_ms);
