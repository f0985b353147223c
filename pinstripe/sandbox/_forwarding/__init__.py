"""Forwarding in the sandbox: requests with card details, sent to real destinations.

`endpoints` has the routes of the API and sends the requests. `cards` has the test cards, and fills
in and masks their details.
"""
