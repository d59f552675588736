"""What a run that is recorded teaches the next one. Pure, but for the reading of records."""
