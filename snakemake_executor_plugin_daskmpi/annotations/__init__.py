"""What the resources of rules say of cores, memory and GPUs."""
