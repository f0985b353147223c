"""The commands of the calls: every call of a client, made from a table that is generated.

The table is all that help and completion need. The client is imported when a call is made.
"""
