"""Drives the demonstration and scores it against the truth."""
