"""Regions that others drew, read from their files: one module per format, all behind `RegionProvider`."""
