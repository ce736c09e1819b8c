"""From a voice to words with times: engines, checks of what they say, transcripts of other programs."""
