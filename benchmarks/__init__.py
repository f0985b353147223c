"""Pinstripe beside its peers: every figure of a table comes from one run against one server."""
