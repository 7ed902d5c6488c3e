"""The Kubernetes API: a small client, and what is read out of what it answers."""
