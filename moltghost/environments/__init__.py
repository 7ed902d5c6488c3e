"""Environments as objects: one class per provider, chosen by `factory.open_environment`."""
