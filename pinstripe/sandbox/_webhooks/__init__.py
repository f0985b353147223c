"""Webhooks in the sandbox: endpoints, the log of events, and signed deliveries.

`endpoints` and `events` have the routes of the API, and `delivery` sends events with retries.
`control` and `driver` let tests wait for deliveries and look at them.
"""
