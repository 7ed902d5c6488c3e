"""Pulumi components: they render plans to resources and decide nothing.

Each takes a plan (plain values) and Pulumi inputs from other resources. Kubernetes objects always
have a fixed ``metadata.name``, ConfigMaps and Secrets one that changes with their content, so
that no change is ever a replacement in place.
"""
