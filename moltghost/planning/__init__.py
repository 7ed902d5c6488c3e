"""Plans: all decisions for one stack, made before any resource exists.

A plan is a frozen pydantic model of plain values. It can be printed, compared and tested without
Pulumi; the components only render it.
"""
