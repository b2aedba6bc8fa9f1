-- How undoing a node ended: a failure was not to be seen.

ALTER TABLE execution_nodes ADD COLUMN compensation text, ADD COLUMN compensation_error text;
UPDATE execution_nodes SET compensation = 'completed' WHERE compensated;
