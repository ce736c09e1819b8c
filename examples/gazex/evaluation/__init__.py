"""How good a trained model is on readings that it never saw, beside what needs no model."""
