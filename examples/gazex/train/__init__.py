"""The training itself."""
