"""Gaze events: fixations, saccades, post-saccadic oscillations, blinks and losses.

`detect` finds them in an array or a pandas frame, `on_images` puts them on the images of a reading.

One file each: ``samples`` (checking the input), ``kinematics`` (velocity and noise), ``loss`` (blinks, bridging),
``adaptive``, ``clustering`` (with ``segmentation`` and ``steps``), ``ivt``, ``idt`` (detectors), ``table``,
``detection`` (choosing one), ``images``.
"""

from keyframes.events.detection import METHODS, Events, detect
from keyframes.events.images import on_images
from keyframes.events.labels import BLINK, FIXATION, NONE, PSO, PURSUIT, SACCADE

__all__ = [
    "BLINK",
    "FIXATION",
    "METHODS",
    "NONE",
    "PSO",
    "PURSUIT",
    "SACCADE",
    "Events",
    "detect",
    "on_images",
]
