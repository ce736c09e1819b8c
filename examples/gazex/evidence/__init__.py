"""Evidence of one study: what a model says of a radiograph, where, in which order, and how much it rests on it."""
