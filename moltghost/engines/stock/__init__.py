"""The stock engine: the Pulumi CLI, driven through Pulumi's Automation API.

It changes nothing in how Pulumi works: backend, secrets provider, plugins and policy packs are the
user's, as with ``pulumi up``. What is added is what the embedded engine gives too: progress as
``Event``s, typed results, and refusals that are told apart from failures.
"""
