"""Recovery after a restoration: the open workflows of Temporal, and the settlement of what does not go on."""
