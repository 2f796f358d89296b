-- Purpose: a lease for each shard of the projects, the replicas that are there, positions of the feed
-- that commits of several shards take at the same time, a notification when tokens change.
-- Oldest schema: 1
-- Builds of before see the only shard, if there is one, through the views `leader` and `feed`.

-- In the order in which commits lock them.
LOCK TABLE leader IN ACCESS EXCLUSIVE MODE;
LOCK TABLE records IN SHARE ROW EXCLUSIVE MODE;
LOCK TABLE feed IN ACCESS EXCLUSIVE MODE;

-- Who leads each shard; epoch grows with each that takes it from another.
ALTER TABLE leader RENAME TO shards;
ALTER TABLE shards ADD COLUMN shard int4 NOT NULL DEFAULT 0;
ALTER TABLE shards DROP COLUMN one;
ALTER TABLE shards ADD PRIMARY KEY (shard), ALTER COLUMN shard DROP DEFAULT;
-- Who changes an epoch changes a key: that waits for commits, which hold the row FOR KEY SHARE; a
-- renewal does not (server/src/db/postgres/leases.h).
ALTER TABLE shards ADD UNIQUE (shard, epoch);

-- The last position that each shard gave. Its row is locked from before one is taken to the end of
-- the transaction: a shard's positions become visible in their own order, and who holds all rows
-- knows that nothing is under way.
ALTER TABLE feed RENAME TO feeds;
ALTER TABLE feeds ADD COLUMN shard int4 NOT NULL DEFAULT 0;
ALTER TABLE feeds DROP COLUMN one;
ALTER TABLE feeds ADD PRIMARY KEY (shard), ALTER COLUMN shard DROP DEFAULT;

-- A database that nobody has used shares from the start.
INSERT INTO shards (shard, epoch, holder, name, address, expires_at)
  SELECT more, 0, '', '', '', '-infinity' FROM shards, generate_series(1, 7) AS more
  WHERE epoch = 0 AND NOT EXISTS (SELECT 1 FROM runs);
INSERT INTO feeds (shard, position)
  SELECT s.shard, f.position FROM shards s, feeds f WHERE s.shard > 0;

-- Positions of all shards. Never behind what a row of `feeds` has.
CREATE SEQUENCE positions;
SELECT setval('positions', greatest(position, 1), position > 0) FROM feeds WHERE shard = 0;

-- The replicas that are there.
CREATE TABLE members (
  holder     text PRIMARY KEY,
  name       text NOT NULL,
  address    text NOT NULL,
  expires_at timestamptz NOT NULL
) WITH (fillfactor = 10);

CREATE VIEW leader AS SELECT true AS one, epoch, holder, name, address, expires_at FROM shards
  WHERE shard = 0 AND (SELECT count(*) FROM shards) = 1;
CREATE VIEW feed AS SELECT true AS one, position FROM feeds
  WHERE shard = 0 AND (SELECT count(*) FROM shards) = 1;

-- Which shard a project belongs to: `shard_of` in server/src/db/shard.h.
CREATE FUNCTION maestro_shard_of(project bytea, shards int4) RETURNS int4
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (('x' || substr(encode(sha256(project), 'hex'), 1, 8))::bit(32)::int8 % shards)::int4
$$;

-- Replicas know all tokens: those that change are read anew.
CREATE FUNCTION maestro_tell_tokens() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('maestro_tokens', '');
  RETURN NULL;
END $$;
CREATE TRIGGER tokens_put AFTER INSERT OR UPDATE ON records FOR EACH ROW
  WHEN (NEW.kind = 'token') EXECUTE FUNCTION maestro_tell_tokens();
CREATE TRIGGER tokens_gone AFTER DELETE ON records FOR EACH ROW
  WHEN (OLD.kind = 'token') EXECUTE FUNCTION maestro_tell_tokens();

-- Who may use the tables may use what came beside them.
DO $$
DECLARE
  allowed record;
BEGIN
  FOR allowed IN
    SELECT DISTINCT a.privilege_type AS what,
           CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS who
    FROM pg_class c, aclexplode(c.relacl) a
    WHERE c.oid = 'shards'::regclass AND a.grantee <> c.relowner
      AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
  LOOP
    EXECUTE format('GRANT %s ON leader, feed, members TO %s', allowed.what, allowed.who);
    IF allowed.what IN ('SELECT', 'UPDATE') THEN
      EXECUTE format('GRANT %s ON SEQUENCE positions TO %s', allowed.what, allowed.who);
    END IF;
  END LOOP;
END $$;
