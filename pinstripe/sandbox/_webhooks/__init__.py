"""Events, webhook endpoints and deliveries in the sandbox.

Here are the endpoints, the log of events, the signed deliveries with their repeats, and the control
routes and driver of tests. Only the server imports it, as it does every product.
"""
