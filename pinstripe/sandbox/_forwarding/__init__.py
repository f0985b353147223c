"""Forwarding requests in the sandbox: cards, and who they go to.

Here are the endpoints and the test cards whose details a request is filled with. Only the server
imports it, as it does every product.
"""
