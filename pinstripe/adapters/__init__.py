"""Adapters: a `pinstripe.webhooks.Router` behind the route of a web framework, a module for each.

Each module imports its framework, and no other module of Pinstripe imports it.
"""

# A star import of every adapter would import every framework.
__all__ = ()
