"""A module beside the scripts."""


def described(names):
    return ", ".join(f"{name}: {open(name).read().strip()}" for name in names)
