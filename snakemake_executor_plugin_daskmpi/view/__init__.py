"""What people are shown of a run, from its record: ``status``, ``watch`` and ``explain``."""
