"""What is looked at and told: the doctor's report on a site."""
