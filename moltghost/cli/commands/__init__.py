"""The commands, a module for each word of the command line: parse, call, print."""
