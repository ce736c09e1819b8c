"""What the eyes did: events, regions, key frames and trajectories from arrays and tables.

Pure computation. No files but packaged data, no Qt, no threads, no network.
"""
