-- What one household used of a day's free credits that many share: a share that began anew with every restart, session or /forgetme would be none. household is a
-- keyed hash of an address and the day: nobody can tell whose it is, and the same address has another one tomorrow.

CREATE TABLE drawn_shares (
	job       INTEGER PRIMARY KEY REFERENCES jobs (id),
	household TEXT NOT NULL CHECK (household != ''),
	day_ms    INTEGER NOT NULL, -- the first instant of the UTC day of the hold; it is forgotten two days later
	amount    INTEGER NOT NULL CHECK (amount > 0) -- held, later paid
) STRICT;
CREATE INDEX drawn_shares_household ON drawn_shares (household, amount);
CREATE INDEX drawn_shares_day ON drawn_shares (day_ms);

-- From which household a request came, until its answer is out: it may have to run again after a restart.
ALTER TABLE requests ADD COLUMN household TEXT NOT NULL DEFAULT '';
