-- Ali's insights read the turns of the last days.

CREATE INDEX chat_turns_at ON chat_turns (at);
