-- What an admin or the operator decided about somebody outlives a forgetting, or everybody could undo it. alias is a keyed hash of the identity: nobody can tell whose it is,
-- but an identity that comes back is known by it.

CREATE TABLE forgotten_blocks (
	alias     TEXT NOT NULL CHECK (alias != ''),
	community TEXT NOT NULL, -- '' = everywhere
	PRIMARY KEY (alias, community)
) STRICT, WITHOUT ROWID;

-- What was asked on the day of the forgetting, for daily limits. Earlier days go with the next forgetting.
CREATE TABLE forgotten_asked (
	alias     TEXT NOT NULL CHECK (alias != ''),
	community TEXT NOT NULL,
	command   TEXT NOT NULL,
	day_ms    INTEGER NOT NULL, -- the first instant of the day, UTC
	n         INTEGER NOT NULL CHECK (n > 0),
	PRIMARY KEY (alias, community, command, day_ms)
) STRICT, WITHOUT ROWID;
