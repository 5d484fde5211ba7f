"""The command line: commands that are HTTP clients of the running engine, and what they print."""
