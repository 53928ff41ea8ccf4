"""One database: its URL, its backend, the programs that serve it."""
