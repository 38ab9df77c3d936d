-- Times are milliseconds since 1970 UTC; 0 is "never". Columns called *_sealed hold AES-256-GCM: version, nonce, ciphertext.

CREATE TABLE meta (
	name  TEXT PRIMARY KEY,
	value BLOB NOT NULL
) STRICT;

-- People and places.

CREATE TABLE communities (
	id TEXT PRIMARY KEY CHECK (id != '')
) STRICT;

CREATE TABLE chats (
	row            INTEGER PRIMARY KEY AUTOINCREMENT,
	id             TEXT NOT NULL UNIQUE CHECK (id != ''),
	community      TEXT REFERENCES communities (id),
	private        INTEGER NOT NULL DEFAULT 0 CHECK (private IN (0, 1)),
	age_restricted INTEGER NOT NULL DEFAULT 0 CHECK (age_restricted IN (0, 1)),
	name           TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE members (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	name       TEXT NOT NULL,
	language   TEXT NOT NULL DEFAULT '',
	operator   INTEGER NOT NULL DEFAULT 0 CHECK (operator IN (0, 1)),
	blocked    INTEGER NOT NULL DEFAULT 0 CHECK (blocked IN (0, 1)),
	created_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE identities (
	id         TEXT PRIMARY KEY CHECK (id != ''),
	member     INTEGER NOT NULL REFERENCES members (id),
	name       TEXT NOT NULL,
	created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX identities_member ON identities (member);

CREATE TABLE settings (
	community  TEXT NOT NULL REFERENCES communities (id),
	name       TEXT NOT NULL CHECK (name != ''),
	value      TEXT NOT NULL,
	changed_ms INTEGER NOT NULL,
	PRIMARY KEY (community, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE consents (
	member INTEGER NOT NULL REFERENCES members (id),
	notice TEXT NOT NULL CHECK (notice != ''),
	at_ms  INTEGER NOT NULL,
	PRIMARY KEY (member, notice)
) STRICT, WITHOUT ROWID;

-- Workers.

CREATE TABLE workers (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	owner      INTEGER NOT NULL REFERENCES members (id),
	name       TEXT NOT NULL,
	key        BLOB NOT NULL UNIQUE CHECK (length(key) = 32),
	share      INTEGER NOT NULL CHECK (share IN (0, 1)),
	linked_ms  INTEGER NOT NULL,
	seen_ms    INTEGER NOT NULL DEFAULT 0,
	revoked_ms INTEGER NOT NULL DEFAULT 0,
	hardware   TEXT NOT NULL CHECK (json_valid(hardware)),
	offers     TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(offers))
) STRICT;
CREATE INDEX workers_owner ON workers (owner) WHERE revoked_ms = 0;

CREATE TABLE vouches (
	worker    INTEGER NOT NULL REFERENCES workers (id),
	community TEXT NOT NULL REFERENCES communities (id),
	class     TEXT NOT NULL CHECK (class IN ('public', 'community', 'private')),
	by_member INTEGER NOT NULL REFERENCES members (id),
	at_ms     INTEGER NOT NULL,
	PRIMARY KEY (worker, community)
) STRICT, WITHOUT ROWID;

CREATE TABLE speeds (
	worker INTEGER NOT NULL REFERENCES workers (id),
	kind   TEXT NOT NULL CHECK (kind IN ('chat', 'image', 'translate')),
	model  TEXT NOT NULL,
	rate   REAL NOT NULL CHECK (rate >= 0),
	jobs   INTEGER NOT NULL CHECK (jobs >= 0),
	PRIMARY KEY (worker, kind, model)
) STRICT, WITHOUT ROWID;

CREATE TABLE join_codes (
	hash       BLOB PRIMARY KEY CHECK (length(hash) = 32),
	owner      INTEGER NOT NULL REFERENCES members (id),
	name       TEXT NOT NULL,
	share      INTEGER NOT NULL CHECK (share IN (0, 1)),
	expires_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX join_codes_expires ON join_codes (expires_ms);

-- What people asked of the bot.

CREATE TABLE requests (
	id            TEXT PRIMARY KEY CHECK (id != ''),
	event         TEXT NOT NULL UNIQUE CHECK (event != ''),
	chat          INTEGER NOT NULL REFERENCES chats (row),
	user          TEXT NOT NULL,
	member        INTEGER REFERENCES members (id),
	name          TEXT NOT NULL,
	locale        TEXT NOT NULL,
	role          INTEGER NOT NULL,
	command       TEXT NOT NULL,
	args_sealed   BLOB,
	source        TEXT NOT NULL,
	reply_to      TEXT NOT NULL,
	handle_sealed BLOB,
	private       INTEGER NOT NULL CHECK (private IN (0, 1)),
	reply         TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(reply)),
	state         TEXT NOT NULL CHECK (state IN ('accepted', 'stopped', 'delivered')),
	created_ms    INTEGER NOT NULL,
	starts        INTEGER NOT NULL DEFAULT 0 CHECK (starts >= 0) -- re-runs that did not come to an end
) STRICT;
CREATE INDEX requests_unfinished ON requests (created_ms) WHERE state != 'delivered';
CREATE INDEX requests_created ON requests (created_ms);

CREATE TRIGGER requests_stay_delivered BEFORE UPDATE OF state ON requests
WHEN OLD.state = 'delivered' AND NEW.state != 'delivered'
BEGIN SELECT RAISE(ABORT, 'a delivered request stays delivered'); END;

-- Actions and sent messages outlive their request's row: buttons work for 30 days.
CREATE TABLE actions (
	id          TEXT PRIMARY KEY CHECK (id != ''),
	name        TEXT NOT NULL CHECK (name != ''),
	request     TEXT NOT NULL,
	data_sealed BLOB,
	owner       INTEGER REFERENCES members (id),
	expires_ms  INTEGER NOT NULL
) STRICT;
CREATE INDEX actions_request ON actions (request);
CREATE INDEX actions_expires ON actions (expires_ms);

CREATE TABLE sent (
	chat    INTEGER NOT NULL REFERENCES chats (row),
	message TEXT NOT NULL CHECK (message != ''),
	request TEXT NOT NULL,
	at_ms   INTEGER NOT NULL,
	PRIMARY KEY (chat, message)
) STRICT, WITHOUT ROWID;
CREATE INDEX sent_at ON sent (at_ms);

CREATE TABLE turns (
	request         TEXT PRIMARY KEY CHECK (request != ''),
	parent          TEXT NOT NULL,
	chat            INTEGER NOT NULL REFERENCES chats (row),
	member          INTEGER REFERENCES members (id),
	question_sealed BLOB NOT NULL,
	answer_sealed   BLOB NOT NULL,
	model           TEXT NOT NULL,
	at_ms           INTEGER NOT NULL
) STRICT;
CREATE INDEX turns_at ON turns (at_ms);
CREATE INDEX turns_member ON turns (member);

-- Jobs.

CREATE TABLE jobs (
	id             INTEGER PRIMARY KEY AUTOINCREMENT,
	key            TEXT NOT NULL UNIQUE CHECK (key != ''),
	kind           TEXT NOT NULL CHECK (kind IN ('chat', 'image', 'translate')),
	class          TEXT NOT NULL CHECK (class IN ('public', 'community', 'private')),
	quality        TEXT NOT NULL,
	community      TEXT REFERENCES communities (id),
	member         INTEGER REFERENCES members (id),
	payer          TEXT NOT NULL CHECK (json_valid(payer)),
	model          TEXT NOT NULL,
	features       TEXT NOT NULL CHECK (json_valid(features)),
	work           TEXT NOT NULL CHECK (json_valid(work)),
	payload_sealed BLOB,
	input_sealed   BLOB,
	wait_ms        INTEGER NOT NULL CHECK (wait_ms >= 0),
	created_ms     INTEGER NOT NULL,
	rates          INTEGER NOT NULL,
	held           INTEGER NOT NULL CHECK (held >= 0), -- milli-credits
	attempts       INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
	state          TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'leased', 'done', 'failed', 'cancelled')),
	ended_ms       INTEGER,
	result_sealed  BLOB,
	failure        TEXT, -- a fault.Code
	failure_sealed BLOB, -- its arguments
	bill           TEXT CHECK (bill IS NULL OR json_valid(bill)),
	earner         INTEGER REFERENCES members (id),
	erased         INTEGER NOT NULL DEFAULT 0 CHECK (erased IN (0, 1)),
	CHECK ((state IN ('done', 'failed', 'cancelled')) = (ended_ms IS NOT NULL)),
	CHECK ((state IN ('done', 'failed', 'cancelled')) = (bill IS NOT NULL)),
	CHECK ((state IN ('failed', 'cancelled')) = (failure IS NOT NULL)),
	CHECK (state = 'done' OR (result_sealed IS NULL AND earner IS NULL)),
	CHECK (NOT erased OR (ended_ms IS NOT NULL AND payload_sealed IS NULL AND input_sealed IS NULL AND result_sealed IS NULL AND failure_sealed IS NULL))
) STRICT;
CREATE INDEX jobs_open ON jobs (id) WHERE state IN ('queued', 'leased');
CREATE INDEX jobs_open_member ON jobs (member) WHERE state IN ('queued', 'leased');
CREATE INDEX jobs_to_erase ON jobs (ended_ms) WHERE ended_ms IS NOT NULL AND NOT erased;

CREATE TRIGGER jobs_end_once BEFORE UPDATE OF state, held, bill, earner, ended_ms ON jobs
WHEN OLD.state IN ('done', 'failed', 'cancelled')
BEGIN SELECT RAISE(ABORT, 'a job ends once'); END;

CREATE TABLE attempts (
	lease       TEXT PRIMARY KEY CHECK (length(lease) = 32),
	job         INTEGER NOT NULL REFERENCES jobs (id),
	number      INTEGER NOT NULL CHECK (number >= 1),
	worker      INTEGER NOT NULL REFERENCES workers (id),
	engine      TEXT NOT NULL,
	model       TEXT NOT NULL,
	started_ms  INTEGER NOT NULL,
	deadline_ms INTEGER NOT NULL,
	ended_ms    INTEGER,
	outcome     TEXT CHECK (outcome IN ('done', 'refused', 'overload', 'lost', 'engine', 'expired', 'rejected', 'request', 'cancelled', 'restart')),
	counts      INTEGER NOT NULL DEFAULT 0 CHECK (counts IN (0, 1)),
	CHECK ((ended_ms IS NULL) = (outcome IS NULL))
) STRICT;
CREATE UNIQUE INDEX attempts_number ON attempts (job, number);
CREATE UNIQUE INDEX attempts_running ON attempts (job) WHERE ended_ms IS NULL; -- one at a time

-- The ledger. A posting moves the account's cached balance in the same statement.

CREATE TABLE accounts (
	id       INTEGER PRIMARY KEY AUTOINCREMENT,
	kind     TEXT NOT NULL CHECK (kind IN ('spend', 'escrow', 'allowance', 'pool', 'mint', 'burn', 'hold')),
	owner    TEXT NOT NULL,
	balance  INTEGER NOT NULL DEFAULT 0,
	received INTEGER NOT NULL DEFAULT 0 CHECK (received >= 0), -- sum of what ever came in
	UNIQUE (kind, owner),
	CHECK ((kind IN ('mint', 'burn', 'hold')) = (owner = '')),
	CONSTRAINT enough CHECK (balance >= 0 OR kind = 'mint')
) STRICT;

CREATE TABLE transactions (
	id      INTEGER PRIMARY KEY AUTOINCREMENT,
	kind    TEXT NOT NULL CHECK (kind IN ('grant', 'hold', 'settle', 'refund', 'release', 'give', 'adjust')),
	key     TEXT NOT NULL UNIQUE CHECK (key != ''),
	job     INTEGER REFERENCES jobs (id),
	attempt INTEGER NOT NULL DEFAULT 0,
	rates   INTEGER NOT NULL DEFAULT 0,
	at_ms   INTEGER NOT NULL,
	reason  TEXT NOT NULL DEFAULT '',
	CHECK (kind != 'adjust' OR reason != ''),
	CHECK ((kind IN ('hold', 'settle', 'refund')) = (job IS NOT NULL))
) STRICT;

CREATE TABLE postings (
	transaction_id INTEGER NOT NULL REFERENCES transactions (id),
	account        INTEGER NOT NULL REFERENCES accounts (id),
	amount         INTEGER NOT NULL CHECK (amount != 0),
	PRIMARY KEY (transaction_id, account)
) STRICT, WITHOUT ROWID;
CREATE INDEX postings_account ON postings (account, transaction_id, amount);

CREATE TRIGGER postings_move_balance AFTER INSERT ON postings
BEGIN
	UPDATE accounts SET balance = balance + NEW.amount, received = received + max(NEW.amount, 0) WHERE id = NEW.account;
END;

CREATE TRIGGER transactions_keep BEFORE UPDATE ON transactions BEGIN SELECT RAISE(ABORT, 'transactions are never changed'); END;
CREATE TRIGGER transactions_stay BEFORE DELETE ON transactions BEGIN SELECT RAISE(ABORT, 'transactions are never deleted'); END;
CREATE TRIGGER postings_keep BEFORE UPDATE ON postings BEGIN SELECT RAISE(ABORT, 'postings are never changed'); END;
CREATE TRIGGER postings_stay BEFORE DELETE ON postings BEGIN SELECT RAISE(ABORT, 'postings are never deleted'); END;

-- Earnings that wait: one row per settlement that paid somebody.
CREATE TABLE escrows (
	settlement INTEGER PRIMARY KEY REFERENCES transactions (id),
	member     INTEGER NOT NULL REFERENCES members (id),
	amount     INTEGER NOT NULL CHECK (amount > 0),
	due_ms     INTEGER NOT NULL,
	release    INTEGER UNIQUE REFERENCES transactions (id)
) STRICT;
CREATE INDEX escrows_due ON escrows (due_ms) WHERE release IS NULL;
CREATE INDEX escrows_pending ON escrows (member, due_ms) WHERE release IS NULL;

-- The page.

CREATE TABLE page_sessions (
	hash       BLOB PRIMARY KEY CHECK (length(hash) = 32),
	user       TEXT NOT NULL CHECK (user != ''),
	name       TEXT NOT NULL,
	created_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE page_messages (
	row         INTEGER PRIMARY KEY AUTOINCREMENT,
	chat        TEXT NOT NULL,
	id          TEXT NOT NULL CHECK (id != ''),
	user        TEXT NOT NULL,
	author      TEXT NOT NULL,
	only_user   TEXT NOT NULL,
	body_sealed BLOB,
	final       INTEGER NOT NULL CHECK (final IN (0, 1)),
	reply_to    TEXT NOT NULL,
	nonce       TEXT NOT NULL,
	at_ms       INTEGER NOT NULL,
	deleted     INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1)),
	UNIQUE (chat, id),
	CHECK (deleted = (body_sealed IS NULL))
) STRICT;
CREATE UNIQUE INDEX page_messages_nonce ON page_messages (chat, nonce) WHERE nonce != '';
CREATE INDEX page_messages_at ON page_messages (at_ms);

CREATE TABLE page_events (
	id      INTEGER PRIMARY KEY AUTOINCREMENT,
	kind    TEXT NOT NULL CHECK (kind IN ('message', 'edit', 'delete')),
	chat    TEXT NOT NULL,
	message INTEGER NOT NULL REFERENCES page_messages (row) ON DELETE CASCADE,
	final   INTEGER NOT NULL CHECK (final IN (0, 1)) -- as the message was after this event
) STRICT;
CREATE INDEX page_events_chat ON page_events (chat, id);
CREATE INDEX page_events_message ON page_events (message);
