"""Pulumi's formats, which both engines read and write: projects, states, secrets, URNs, values."""
