"""The swarm modes: one module each, with `next_turns`, `planned_turns` and `stage_of`."""
