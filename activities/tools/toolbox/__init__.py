"""The platform's own tools: each reads views through the ports of its concept."""
