"""How a test steers the sandbox: its clock, its faults, its drivers.

Here are the control routes under `/_sandbox` that belong to no product, and the base of the drivers
that tests call in Python. The products build their own control routes on these; what a driver does,
a control route does too, so that tests in other languages can do the same.
"""
