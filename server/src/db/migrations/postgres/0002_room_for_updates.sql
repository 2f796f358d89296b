-- Purpose: room on a page of `runs` for a new version of each row on it.
-- Oldest schema: 1
-- A commit changes many rows of one page, and what it replaces can go only after it: without the
-- room each new version lands on another page and is written into every index. Pages of before keep
-- their rows.
ALTER TABLE runs SET (fillfactor = 50);
