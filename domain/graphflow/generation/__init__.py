"""Generation of workflow definitions by a model."""
