"""Tasks, event loops and threads, without any knowledge of Stripe.

Here are tasks that outlive a cancellation, values that belong to one event loop, and the loop
thread that runs the calls of blocking clients. Everything that awaits or crosses threads may import
this wing; it imports only `_core`, so that it can be read and tested by itself.
"""
