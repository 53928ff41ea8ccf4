"""What each task does: one module for each, which returns values and never prints."""
