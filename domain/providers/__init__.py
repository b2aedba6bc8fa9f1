"""Model providers: which one a model's name means, and when calls to a model stop because it fails too often."""
