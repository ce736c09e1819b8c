"""What a model answers: written under a grammar, read leniently."""
