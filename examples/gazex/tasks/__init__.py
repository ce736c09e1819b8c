"""From rows to what a model is shown, asked and should answer."""
