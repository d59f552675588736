"""Outside a world: how to get one."""
