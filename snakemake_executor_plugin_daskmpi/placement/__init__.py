"""Rank 1: which job goes to which worker now."""
