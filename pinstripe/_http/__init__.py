"""How a request gets to the server, and how its answer comes back.

Here are the messages and their encoding, the pipeline that limits and retries, and the transport.
Its modules `exchange` and `connection` are the only ones of the client that use aiohttp. The
resources and the client import this wing; it knows no product of Stripe, so that every endpoint
gets the same guarantees.
"""
