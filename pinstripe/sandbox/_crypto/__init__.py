"""The crypto onramp in the sandbox: quotes, sessions and their prices.

Here are the endpoints, the rules of networks and currencies, the pricing, and the control routes
and driver of tests. Only the server imports it, as it does every product.
"""
