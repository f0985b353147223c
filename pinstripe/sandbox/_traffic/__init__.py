"""What happens to a request of the sandbox between its arrival and its endpoint.

This package holds the stored answers of idempotency keys, the log of effects, the injected faults
and the rate limits. The state and the HTTP parts import it. It knows no product, so that a fault or
a limit works in the same way for all of them.
"""
