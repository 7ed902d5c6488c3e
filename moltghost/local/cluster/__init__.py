"""The embedded cluster: its processes, certificates and files."""
