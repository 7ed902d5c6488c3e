"""MoltGhost: private AI agents on your own GPUs."""

__version__ = "0.1.0"
