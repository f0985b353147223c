"""Adapters: a `pinstripe.webhooks.Router` behind the route of a web framework, a room for each.

A room imports its framework, and nothing else of Pinstripe imports the room.
"""
