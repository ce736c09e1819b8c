"""What the operator sees of a session that goes on: read from its folder alone. No Qt."""
