"""Admission of model calls to their providers: circuits, and slots within the providers' limits."""
