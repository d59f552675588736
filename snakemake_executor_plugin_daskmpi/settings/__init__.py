"""The ``--daskmpi-*`` flags, and how their values are read."""
