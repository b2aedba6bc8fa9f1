"""One turn of an agent, shared by chats, swarms and graphs."""
