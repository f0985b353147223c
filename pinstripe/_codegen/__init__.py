"""The generators, for those who work on Pinstripe: the wheel is built without them.

`sync_client` reads the async classes as syntax trees and writes `pinstripe/sync/_generated.py`. It
imports no module of the package, so it works while the module that it writes does not.
`command_line` asks the classes themselves and writes `pinstripe/cli/_calls/table.py`.
"""
