"""Errors, checks and values that every other wing uses.

Here are the error tree, the redaction of private text, the base of frozen values and the checks of
arguments. Every module may import this wing, and it imports nothing of Pinstripe, so an error or a
check never causes an import cycle.
"""
