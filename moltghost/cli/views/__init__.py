"""What the commands print: tables, plans, charts, live progress."""
