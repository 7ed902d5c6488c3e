"""Container images for a machine without a container registry: built here, from packages.

Each image has a recipe, which pins everything in it; a recipe becomes an OCI archive in the cache,
the same bytes whenever it is built from the same packages. The embedded cluster's own node imports
the archives; ``moltghost images publish`` pushes those that are ours to an environment's registry.
"""
