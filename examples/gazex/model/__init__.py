"""The model, its tokenizer and its processor."""
