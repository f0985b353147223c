"""Tasks, event loops and threads, without any knowledge of Stripe.

Here are tasks that outlive a cancellation, values that belong to one event loop, and the loop
thread that runs the calls of blocking clients. Every module that awaits or uses threads may import
this wing. It imports only `_core`, so it can be read and tested by itself.
"""
