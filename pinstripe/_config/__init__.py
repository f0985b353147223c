"""Settings of a client and of one call, checked when they are made.

Here are the frozen option values, the configuration of a client, its hooks, and the rules for
certificates and proxies. Whatever needs a setting may import this wing; it opens no connection, so
that a wrong setting is reported before anything is sent.
"""
