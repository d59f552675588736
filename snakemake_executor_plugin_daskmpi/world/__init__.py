"""Every rank: who it is, and how the ranks become one world."""
