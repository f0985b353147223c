"""What stands between a request of the sandbox and its endpoint.

Here are the stored answers of idempotency keys, the ledger of effects, the injected faults and the
rate limits. The state and the HTTP parts import it; it knows no product, so that a fault or a limit
works alike for all of them.
"""
