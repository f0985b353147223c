"""The generator of the blocking client, for those who work on Pinstripe.

It reads the async classes as syntax trees and writes `pinstripe/sync/_generated.py`. It imports no
module of the package and none imports it, so the wheel is built without it.
"""
