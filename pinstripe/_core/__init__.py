"""Values, checks and errors that every other wing is written in.

Here are the error tree, the redaction of private text, the base of frozen values and the checks of
arguments. Every module may import this wing, and it imports nothing of Pinstripe, so that an error
or a check is never a reason for an import cycle.
"""
