"""The review window."""
