"""How a request gets to the server, and how its answer comes back.

Here are the messages and their encoding, the pipeline that limits and retries, and the transport.
Below that, `exchange` sends one request, over a route: one of `connection`, which alone leans on
private names of aiohttp, or of `session`. `compatibility` says which. The resources and the client
import this wing; it knows no product of Stripe, so that every endpoint gets the same guarantees.
"""
