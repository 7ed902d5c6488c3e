"""The embedded engine: runs Pulumi programs without the Pulumi CLI.

It runs the program with the real SDK against a ResourceMonitor in this process, applies
``kubernetes:*`` resources to the API server, generates ``random:*`` resources, and keeps the state
in Pulumi's format. It makes nothing else: a program with other resources can be previewed.
"""
