"""Climate in the sandbox: products, suppliers, stock and orders.

Here are the endpoints, the catalogue, the stock that orders draw on, and the control routes and
driver of tests. Only the server imports it, as it does every product.
"""
