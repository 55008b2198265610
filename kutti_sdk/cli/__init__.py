"""The command line: a thin face on the same calls that programs make."""
