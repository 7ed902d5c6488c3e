"""Plans of an environment on AWS. The public ones are in ``cloud`` and ``platform``."""
