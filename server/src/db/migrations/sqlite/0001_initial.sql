-- Purpose: events as an append-only log, a row for each run, labels, snapshots, records, receipts.
-- Min server version: 0.1.0
-- Ids are 16 bytes in their own order; times are milliseconds since 1970; 0 means "not yet".

-- What one commit added to one run. Positions grow and are never given twice (counters).
CREATE TABLE events (
  position  INTEGER PRIMARY KEY,
  run       BLOB NOT NULL,
  first_seq INTEGER NOT NULL,
  last_seq  INTEGER NOT NULL,
  time      INTEGER NOT NULL,
  payload   TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_of_run ON events (run, last_seq);

-- What lists show. last_seq guards every write of the run.
CREATE TABLE runs (
  row           INTEGER PRIMARY KEY,
  id            BLOB NOT NULL UNIQUE,
  last_seq      INTEGER NOT NULL,
  number        INTEGER NOT NULL,
  project       TEXT NOT NULL,
  workflow      TEXT NOT NULL,
  status        TEXT NOT NULL,
  reason        TEXT NOT NULL,
  trigger_kind  TEXT NOT NULL,
  actor         TEXT NOT NULL,
  ref           TEXT NOT NULL,
  commit_id     TEXT NOT NULL,
  labels        TEXT NOT NULL, -- [["name","value"], ...]
  run_key       TEXT NOT NULL,
  parent        BLOB NOT NULL, -- 16 zero bytes: none
  rerun_of      BLOB NOT NULL, -- as parent
  created_at    INTEGER NOT NULL,
  finished_at   INTEGER NOT NULL,
  deleted_at    INTEGER NOT NULL,
  json          TEXT NOT NULL
) STRICT;
CREATE INDEX runs_by_number ON runs (project, number);
CREATE INDEX runs_by_status ON runs (project, status, number);
CREATE INDEX runs_by_workflow ON runs (project, workflow, number);
CREATE INDEX runs_by_actor ON runs (project, actor, number);
CREATE INDEX runs_by_ref ON runs (project, ref, number) WHERE ref <> '';
CREATE INDEX runs_by_commit ON runs (project, commit_id) WHERE commit_id <> '';
CREATE INDEX runs_by_key ON runs (project, run_key, number) WHERE run_key <> '';
CREATE INDEX runs_by_parent ON runs (parent) WHERE parent <> zeroblob(16);
CREATE INDEX runs_by_rerun_of ON runs (rerun_of) WHERE rerun_of <> zeroblob(16);
CREATE INDEX runs_open ON runs (number, row) WHERE finished_at = 0;
CREATE INDEX runs_deleted ON runs (deleted_at) WHERE deleted_at <> 0;
CREATE INDEX runs_numbers ON runs (number);

CREATE TABLE run_labels (
  project TEXT NOT NULL,
  name    TEXT NOT NULL,
  value   TEXT NOT NULL,
  number  INTEGER NOT NULL,
  run     INTEGER NOT NULL, -- runs.row
  PRIMARY KEY (project, name, value, number, run)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_labels_of_run ON run_labels (run);

-- The newest snapshot of a run, if any.
CREATE TABLE snapshots (
  run  INTEGER PRIMARY KEY, -- runs.row
  seq  INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT;

CREATE TABLE records (
  kind    TEXT NOT NULL,
  key     TEXT NOT NULL,
  json    TEXT NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE receipts (
  scope          TEXT NOT NULL,
  key            TEXT NOT NULL,
  request_digest TEXT NOT NULL,
  status         INTEGER NOT NULL,
  location       TEXT NOT NULL,
  body           TEXT NOT NULL,
  created_at     INTEGER NOT NULL,
  PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX receipts_by_age ON receipts (created_at);

-- purged_position: no event group at or below it was ever given again.
CREATE TABLE counters (
  name  TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
