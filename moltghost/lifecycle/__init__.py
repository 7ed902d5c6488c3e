"""What the command does, without the command: propose a change, check it, carry it out."""
