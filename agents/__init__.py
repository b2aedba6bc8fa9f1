"""The agents that ship with the platform: one Markdown file each, the seed of the registry."""
