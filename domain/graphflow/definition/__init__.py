"""Workflow definitions: nodes, edges and documents."""
