"""The record of a run: a file that rank 1 appends to, and that everything else reads."""
