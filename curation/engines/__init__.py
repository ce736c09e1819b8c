"""How the work on many readings is spread over processors."""
