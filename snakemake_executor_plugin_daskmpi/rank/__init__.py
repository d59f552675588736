"""What every rank stands on: who it is, its log, its processes, its credentials."""
