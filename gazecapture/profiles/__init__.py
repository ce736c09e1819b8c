"""Stream profiles: which channel means what, as data."""
