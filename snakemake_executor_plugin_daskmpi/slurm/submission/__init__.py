"""A batch script that is submitted, followed and continued."""
