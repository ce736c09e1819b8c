"""Gaze events: fixations, saccades, post-saccadic oscillations, blinks and losses.

`detect` finds them in columns, `detect_frame` in a pandas frame of one eye or two, `OnlineDetector` while samples
arrive; `on_images` puts them on the images of a reading.

One file each: ``columns`` and ``samples`` (checking the input), ``kinematics`` (velocity and noise), ``loss`` (blinks,
bridging), ``adaptive`` (with ``thresholds`` and ``saccades``), ``clustering`` (with ``segmentation`` and ``steps``),
``ivt``, ``idt`` (detectors), ``pursuit``, ``detection`` (choosing one), ``labels``, ``runs`` and ``table`` (what they
give), ``online`` (with ``online_kernel``), ``eyes``, ``images``.
"""

from keyframes.events.detection import METHODS, Events, detect
from keyframes.events.eyes import detect_frame
from keyframes.events.images import on_images
from keyframes.events.labels import BLINK, FIXATION, NONE, PSO, PURSUIT, SACCADE
from keyframes.events.online import OnlineDetector

__all__ = [
    "BLINK",
    "FIXATION",
    "METHODS",
    "NONE",
    "PSO",
    "PURSUIT",
    "SACCADE",
    "Events",
    "OnlineDetector",
    "detect",
    "detect_frame",
    "on_images",
]
