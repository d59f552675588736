"""Warm bodies, from both ends: jobs packed on rank 1, run by forks of a workflow that was parsed once."""
