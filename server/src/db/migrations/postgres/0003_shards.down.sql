-- One shard again: its epoch and position are behind nobody's.
LOCK TABLE shards IN ACCESS EXCLUSIVE MODE;
LOCK TABLE records IN SHARE ROW EXCLUSIVE MODE;
LOCK TABLE feeds IN ACCESS EXCLUSIVE MODE;
DROP TRIGGER tokens_put ON records;
DROP TRIGGER tokens_gone ON records;
DROP FUNCTION maestro_tell_tokens();
DROP FUNCTION maestro_shard_of(bytea, int4);
DROP VIEW leader;
DROP VIEW feed;
DROP TABLE members;

UPDATE shards SET epoch = (SELECT max(epoch) FROM shards) WHERE shard = 0;
DELETE FROM shards WHERE shard <> 0;
ALTER TABLE shards RENAME TO leader;
ALTER TABLE leader DROP COLUMN shard;
ALTER TABLE leader ADD COLUMN one boolean PRIMARY KEY DEFAULT true CHECK (one);

UPDATE feeds SET position = (SELECT max(position) FROM feeds) WHERE shard = 0;
DELETE FROM feeds WHERE shard <> 0;
ALTER TABLE feeds RENAME TO feed;
ALTER TABLE feed DROP COLUMN shard;
ALTER TABLE feed ADD COLUMN one boolean PRIMARY KEY DEFAULT true CHECK (one);
DROP SEQUENCE positions;
