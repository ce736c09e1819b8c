"""The reading window: a model without Qt that knows what is shown, and ``qt/``, which shows it."""
