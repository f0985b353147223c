"""The blocking client: its thread, what crosses to it, and the situations it is called from."""
