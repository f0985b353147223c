"""The blocking client: its thread, what runs there, and the situations it is called from."""
