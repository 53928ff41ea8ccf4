"""What a message shows in the place of a secret."""

MASK = "***"
