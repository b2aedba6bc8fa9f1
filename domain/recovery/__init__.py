"""Recovery after a restoration: which work of the backup's moment goes on, and which is recorded as lost."""
