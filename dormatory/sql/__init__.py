"""SQL text, read and never run."""
