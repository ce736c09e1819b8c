"""The screen as the eye tracker sees it: how well gaze is measured on it, where a scene camera sees it."""
