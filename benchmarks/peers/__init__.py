"""The peers on the same work: see __main__.py."""
