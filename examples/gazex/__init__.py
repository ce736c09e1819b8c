"""A trainer that reads this toolkit's shards and imports none of its packages."""
