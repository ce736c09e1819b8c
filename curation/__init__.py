"""From sessions and public datasets to shards that a trainer reads."""
