"""Objects of a cluster as both engines see them: recorded, live, and how they differ."""
