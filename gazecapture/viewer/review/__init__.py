"""Looking at what was recorded, and deciding about it. No Qt: the windows are in `gazecapture.viewer.qt.review`."""
