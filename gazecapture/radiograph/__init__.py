"""Radiographs: decoding, look-up tables, phantoms, and where anatomical regions come from."""
