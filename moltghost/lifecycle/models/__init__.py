"""Models that the catalogue doesn't have: looked up where they are, and kept as records."""
