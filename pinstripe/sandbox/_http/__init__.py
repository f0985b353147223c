"""The sandbox as an HTTP server: from a request to an endpoint and back.

Here are the aiohttp application, authentication, the routing table, the dispatch of a call, lists
and requests that the sandbox itself makes. The products and the control routes import it for the
call that they answer; it knows none of them, so that a product is added without a change here.
"""
