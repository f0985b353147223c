"""The blocking client: its loop thread, what crosses to it, and the situations it is called from."""
