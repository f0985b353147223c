"""What the sandbox remembers: objects, time, and how objects change.

This package holds the tables of objects, the journal on disk, the clock, the scheduler of later
jobs and the lifecycles of the products. Every endpoint of the sandbox works on this state. The
state knows no HTTP, so that a lifecycle can be read and tested as a table.
"""
