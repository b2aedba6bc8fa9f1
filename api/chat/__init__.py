"""Chat: sessions, turns and conversations."""
