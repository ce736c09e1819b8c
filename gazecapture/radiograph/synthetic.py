"""How a generated film says what it is; whoever must know a phantom imports no phantoms for it."""

__all__ = ["SYNTHETIC_NAME", "SYNTHETIC_NOTE"]

SYNTHETIC_NAME = "PHANTOM^SYNTHETIC"
"""In place of a patient's name; nobody is called so."""
SYNTHETIC_NOTE = "SYNTHETIC PHANTOM, NO PATIENT. RESEARCH USE ONLY."
