"""The verb ``profile``: a profile for a site, and files to build environments from."""
