"""Components of an environment on AWS: raw resources, rendered from plans."""
