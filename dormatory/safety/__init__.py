"""What protects a database from a command: marks, backups, confirmations."""
