-- Signatures of answers, results and decisions, as their events have them.
ALTER TABLE chat_turns ADD COLUMN signature text;
ALTER TABLE swarms ADD COLUMN signature text;
ALTER TABLE executions ADD COLUMN signature text;
ALTER TABLE approvals ADD COLUMN signature text;
