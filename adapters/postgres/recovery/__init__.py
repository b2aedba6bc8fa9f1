"""What a restored system reads and records."""
