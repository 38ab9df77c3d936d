-- Through which webhook the bot speaks under other names in a channel. Whoever has the token can do that without any other right.
CREATE TABLE webhooks (
	chat         TEXT PRIMARY KEY CHECK (chat != ''), -- a ChatID: threads use that of their channel
	id           TEXT NOT NULL CHECK (id != ''),
	token_sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
