"""How many requests may go at once and in a second.

Here are the token buckets, the adaptive limit and the queue in which calls wait for their turn.
Only the HTTP wing and the client enter; the wing sees keys, statuses and times but no request, so
that its rules stay pure functions of the clock.
"""
