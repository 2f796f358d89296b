ALTER TABLE runs SET (fillfactor = 80);
