-- A request that was taken back by deleting what asked stays so when the process ends before its answer is gone. No row has the new state, so only the
-- text of the rule changes, as in 0008.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'state = ''accepted'' OR state = ''stopped'' OR state = ''delivered''',
	'state = ''accepted'' OR state = ''stopped'' OR state = ''withdrawn'' OR state = ''delivered''')
WHERE type = 'table' AND name = 'requests';
PRAGMA writable_schema = RESET;
