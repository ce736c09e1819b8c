"""A Neon that does not exist: the phone's whole network side, on loopback, with faults on demand.

The official client takes it for a phone: status and its updates, events, recording, calibration, time echo, and the
streams of gaze, eye events, motion and the scene camera, which looks at a screen with its tags. Everything it
sends is synthetic; its serial number says so.
"""

from gazecapture.sources.neon_simulator.options import GAZE_PAYLOADS, Faults, SimulatorOptions
from gazecapture.sources.neon_simulator.phone import SimulatedNeon

__all__ = ["GAZE_PAYLOADS", "Faults", "SimulatedNeon", "SimulatorOptions"]
