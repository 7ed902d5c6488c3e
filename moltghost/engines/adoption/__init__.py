"""Moves stacks from one engine to the other: the only room that knows both."""
