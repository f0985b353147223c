"""Settings of a client and of one call, checked when they are made.

Here are the frozen option values, the configuration of a client, its hooks, and the rules for
certificates and proxies. Any wing that needs a setting may import this one. It opens no connection,
so that a wrong setting is reported before anything is sent.
"""
