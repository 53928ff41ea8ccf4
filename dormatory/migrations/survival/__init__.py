"""What became of rows on a round trip: pure judgement on states and statements, which touches no database."""
