"""The batch script: what it asks for, sets up and runs. Pure text."""
