-- Takes everything away: refused by the server as long as there is anything to lose.
DROP TABLE commits;
DROP TABLE receipts;
DROP TABLE records;
DROP TABLE snapshots;
DROP TABLE run_labels;
DROP TABLE runs;
DROP TABLE events;
DROP TABLE leader;
DROP TABLE feed;
DROP FUNCTION maestro_refuse(text, int8);
