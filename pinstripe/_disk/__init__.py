"""Files: what is uploaded from, and what downloads and exports are written to.

Here are sources that are read in pieces, destinations that appear only when they are whole, and the
lock of an output. Resources, exports and the command line import this wing; all of its blocking
work runs in worker threads, so that no event loop waits for a disk.
"""
