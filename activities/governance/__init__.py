"""Evaluation of service level objectives."""
