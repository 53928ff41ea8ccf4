"""Processes, signals and files of this machine."""
