"""From curated readings to a dataset: rows, shards, originals, card, manifest, and their verification."""
