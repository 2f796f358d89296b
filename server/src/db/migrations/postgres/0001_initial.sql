-- Purpose: events by month, a row for each run, labels, snapshots, records, receipts, commit ids.
-- Min server version: 0.1.0
-- Times are milliseconds since 1970; 0 means "not yet". What comes from outside is bytea: it may
-- hold any byte, is compared byte by byte, and needs no encoding. Names of closed vocabularies are
-- text. No index row can grow beyond what a B-tree takes: long texts are indexed by their beginning.

-- Raises SQLSTATE MC409, "<what> <number>": a guard of a batch failed at the number-th thing.
CREATE FUNCTION maestro_refuse(what text, number int8) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'MC409', MESSAGE = what || ' ' || number;
END $$;

-- The last position that was given. Its row is locked from then to the end of the transaction, so
-- that positions become visible in their own order.
CREATE TABLE feed (
  one      boolean PRIMARY KEY DEFAULT true CHECK (one),
  position int8 NOT NULL
) WITH (fillfactor = 10);
INSERT INTO feed (position) VALUES (0);

-- Who leads of several servers; epoch grows with each that takes it from another.
CREATE TABLE leader (
  one        boolean PRIMARY KEY DEFAULT true CHECK (one),
  epoch      int8 NOT NULL,
  holder     text NOT NULL,
  name       text NOT NULL,
  address    text NOT NULL,
  expires_at timestamptz NOT NULL
) WITH (fillfactor = 10);
INSERT INTO leader VALUES (true, 0, '', '', '', '-infinity');

-- What one commit added to one run. Partitions: events_YYYY_MM, made ahead by the server.
CREATE TABLE events (
  position  int8 NOT NULL,
  run       uuid NOT NULL,
  first_seq int8 NOT NULL,
  last_seq  int8 NOT NULL,
  time      int8 NOT NULL,
  payload   bytea NOT NULL,
  PRIMARY KEY (run, last_seq, time)
) PARTITION BY RANGE (time);
CREATE INDEX events_by_position ON events (position);
-- For groups whose month has no partition.
CREATE TABLE events_default PARTITION OF events DEFAULT;

-- What lists show. last_seq guards every write of the run.
CREATE TABLE runs (
  id            uuid PRIMARY KEY,
  last_seq      int8 NOT NULL,
  number        int8 NOT NULL,
  project       bytea NOT NULL,
  workflow      bytea NOT NULL,
  status        text COLLATE "C" NOT NULL,
  reason        text COLLATE "C" NOT NULL,
  trigger_kind  text COLLATE "C" NOT NULL,
  actor         bytea NOT NULL,
  ref           bytea NOT NULL,
  commit_id     bytea NOT NULL,
  labels        bytea NOT NULL, -- [["name","value"], ...]
  run_key       bytea NOT NULL,
  parent        uuid NOT NULL,  -- all zero: none
  rerun_of      uuid NOT NULL,  -- as parent
  created_at    int8 NOT NULL,
  finished_at   int8 NOT NULL,
  deleted_at    int8 NOT NULL,
  json          bytea NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX runs_by_number ON runs (substr(project, 1, 256), number);
CREATE INDEX runs_by_status ON runs (substr(project, 1, 256), status, number);
CREATE INDEX runs_by_workflow ON runs (substr(project, 1, 256), substr(workflow, 1, 256), number);
CREATE INDEX runs_by_actor ON runs (substr(project, 1, 256), substr(actor, 1, 256), number);
CREATE INDEX runs_by_ref ON runs (substr(project, 1, 256), substr(ref, 1, 256), number)
  WHERE ref <> '';
CREATE INDEX runs_by_commit ON runs (substr(project, 1, 256), substr(commit_id, 1, 256))
  WHERE commit_id <> '';
CREATE INDEX runs_by_key ON runs (substr(project, 1, 256), substr(run_key, 1, 256), number)
  WHERE run_key <> '';
CREATE INDEX runs_by_parent ON runs (parent)
  WHERE parent <> '00000000-0000-0000-0000-000000000000';
CREATE INDEX runs_by_rerun_of ON runs (rerun_of)
  WHERE rerun_of <> '00000000-0000-0000-0000-000000000000';
CREATE INDEX runs_open ON runs (number, id) WHERE finished_at = 0;
CREATE INDEX runs_deleted ON runs (deleted_at) WHERE deleted_at <> 0;
CREATE INDEX runs_numbers ON runs (number);

-- Each pair once a run.
CREATE TABLE run_labels (
  run     uuid NOT NULL,
  project bytea NOT NULL,
  name    bytea NOT NULL,
  value   bytea NOT NULL,
  number  int8 NOT NULL
);
CREATE INDEX run_labels_of_run ON run_labels (run);
CREATE INDEX run_labels_by_value ON run_labels
  (substr(project, 1, 256), substr(name, 1, 256), substr(value, 1, 256), number);

-- The newest snapshot of a run, if any.
CREATE TABLE snapshots (
  run  uuid PRIMARY KEY,
  seq  int8 NOT NULL,
  body bytea NOT NULL
);

CREATE TABLE records (
  kind    bytea NOT NULL,
  key     bytea NOT NULL,
  json    bytea NOT NULL,
  version int8 NOT NULL,
  PRIMARY KEY (kind, key)
);

CREATE TABLE receipts (
  scope          bytea NOT NULL,
  key            bytea NOT NULL,
  request_digest bytea NOT NULL,
  status         int8 NOT NULL,
  location       bytea NOT NULL,
  body           bytea NOT NULL,
  created_at     int8 NOT NULL,
  PRIMARY KEY (scope, key)
);
CREATE INDEX receipts_by_age ON receipts (created_at);

-- One row a commit, kept for an hour: whether a commit whose answer was lost was made.
CREATE TABLE commits (
  id      uuid PRIMARY KEY,
  made_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX commits_by_age ON commits (made_at);
