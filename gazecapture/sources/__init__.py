"""Where gaze comes from: one protocol, one file per source."""
