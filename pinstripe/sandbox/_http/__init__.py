"""The sandbox as an HTTP server: from a request to an endpoint and back.

This package holds the aiohttp application, authentication, the table of routes, the dispatch of a
call, lists, and the rules for requests that the sandbox itself sends. The products and the control
routes import it for the call that they answer. It knows none of them, so that a product is added
without a change here.
"""
