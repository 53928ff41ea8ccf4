"""What a replay leaves, as values."""
