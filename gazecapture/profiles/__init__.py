"""Stream profiles: which channel of a sender means what. Data, no device.

Senders agree on little, so that channels are found by what they say of themselves (type, label, eye, unit) and
never by their place. A profile is a TOML file; a user's own file works like the built-in ones.
"""

from gazecapture.profiles.model import (
    ChannelRule,
    MatchRule,
    Missing,
    Profile,
    load_profile,
    load_profiles,
    match,
)
from gazecapture.profiles.normalise import NormalisedGaze, normalise, sample_identities

NO_TRACKER = "none"
"""Name in place of a profile's, in a reading that was recorded without an eye tracker."""

__all__ = [
    "NO_TRACKER",
    "ChannelRule",
    "MatchRule",
    "Missing",
    "NormalisedGaze",
    "Profile",
    "load_profile",
    "load_profiles",
    "match",
    "normalise",
    "sample_identities",
]
