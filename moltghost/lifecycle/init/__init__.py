"""A project of one's own: what `moltghost init` writes, and nothing is written over."""
