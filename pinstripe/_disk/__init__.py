"""Files of this machine: sources of uploads, destinations of downloads and exports, and locks.

A source is read in pieces, a destination appears only when it is complete, and a lock lets one run
at a time write an output. Resources, exports and the command line import this wing. Its blocking
work runs in worker threads, so that no event loop waits for a disk.
"""
