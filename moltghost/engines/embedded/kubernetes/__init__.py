"""``kubernetes:*`` resources, applied to a real API server."""
