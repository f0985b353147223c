"""Control of the sandbox by tests: its clock, its faults, and what all drivers share.

A control route is an endpoint under `/_sandbox/` that is not part of the API. A driver is the same
in Python: each of its methods calls one control route, so tests in other languages have the same
possibilities. The routes and the driver of a product are in the package of the product.
"""
