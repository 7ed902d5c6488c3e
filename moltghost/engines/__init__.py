"""Engines carry a program out: the stock Pulumi CLI, or the embedded engine."""
