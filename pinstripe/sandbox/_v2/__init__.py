"""Version 2 of the API: event destinations and thin events.

A thin event is another view of an event of version 1: nothing of it is stored. So whatever happens
in the sandbox is in both logs at once, and costs nothing more.
"""
