"""Live frames in Redis or Valkey: one list of frames for each model call, and a channel for each conversation."""
