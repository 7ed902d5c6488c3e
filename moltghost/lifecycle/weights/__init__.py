"""Model stores from the outside: built by a job, listed, verified, removed, asked for."""
