"""Diagrams as text, one module for each format."""
