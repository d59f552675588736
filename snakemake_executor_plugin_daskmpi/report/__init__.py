"""What a run has done with its allocation, as a page, as JSON and as CSV: the verb ``report``."""
