"""The watch over the memory of a worker's jobs."""
