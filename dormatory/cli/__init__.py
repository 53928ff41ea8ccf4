"""The command line: parse, call a command, print, end with an exit code."""
