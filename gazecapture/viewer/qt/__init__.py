"""The window; the only place that imports PyQt6."""
