"""Tools: calling a tool, and the tools that ship with the platform."""
