"""The command: parse, call, print. One file per group of commands, nothing decided here."""
