"""How an answer of the API becomes a model, and a model becomes plain data.

Here are the base class of all models, the one converter and the page of a list. The products,
resources and exports import this wing. It imports only `_core`, since a model needs no network.
"""
