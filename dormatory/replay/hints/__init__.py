"""What the code of a revision knows of the values that its columns hold, read from its source; nothing is run."""
