"""The generator of the blocking client, for those who work on Pinstripe.

It reads the async classes as syntax trees and writes `pinstripe/sync/_generated.py`. No module of
the package imports it and it imports none, so the wheel is built without it.
"""
