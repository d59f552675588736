"""Which MPI library there is, and what it speaks."""
