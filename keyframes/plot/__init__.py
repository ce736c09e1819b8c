"""Pictures of what the eyes did, as matplotlib figures without any global state.

Every function returns a `matplotlib.figure.Figure`; save it with ``figure.savefig(path)``. Letters keep their colour
in every picture; the colours are told apart by colour-blind people too (Okabe and Ito 2008).
"""

from keyframes.plot.letters import letter_timeline, transition_matrix
from keyframes.plot.pictures import heat_map, keyframe_strip, scanpath
from keyframes.plot.style import LETTERS, letter_colours

__all__ = [
    "LETTERS",
    "heat_map",
    "keyframe_strip",
    "letter_colours",
    "letter_timeline",
    "scanpath",
    "transition_matrix",
]
