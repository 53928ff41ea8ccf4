"""Findings and recordings rendered for people and programs."""
