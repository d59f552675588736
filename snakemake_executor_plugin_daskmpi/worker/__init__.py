"""Ranks >= 2: what runs job bodies."""
