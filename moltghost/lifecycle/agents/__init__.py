"""An agent's life: a change is prepared, then applied; talking to it; its stack files."""
