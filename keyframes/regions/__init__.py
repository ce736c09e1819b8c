"""Anatomical regions: the map type, the letter schemes, the built-in atlas, the assignment of fixations."""
