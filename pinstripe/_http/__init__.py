"""The way of a request to the server and of its answer back.

Here are the messages and their encoding, the pipeline that limits and retries, and the transport,
which is the one place that uses aiohttp. The resources and the client import this wing; it knows no
product of Stripe, so that every endpoint gets the same guarantees.
"""
