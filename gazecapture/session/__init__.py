"""A recorded session: its folder, its journals, the recorder process, and the cut into Readings."""
