"""A reader that does not exist: plans readings, moves its eyes, dictates, and knows the truth about all of it."""
