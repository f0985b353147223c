"""How many requests may be in flight at once, and how many may be sent in a second.

Here are the token buckets, the limit that adapts to the server, and the queues in which calls wait
for their turn. Only the HTTP wing, the client and the settings import this wing. It knows keys,
statuses and times but no request, so that its rules stay pure functions of the time.
"""
