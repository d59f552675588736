"""All that we use of Snakemake beyond its interface for plugins."""
