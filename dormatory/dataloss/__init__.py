"""Which rows and values a round trip lost: pure functions on states and statements."""
