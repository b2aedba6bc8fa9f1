"""The composition root: adapters are picked and handed on here only."""
