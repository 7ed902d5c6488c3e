"""The Pulumi programs: one for each kind of stack."""
