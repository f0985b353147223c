"""How the sandbox reads the parameters of a request, and refuses bad ones.

This package holds forms, multipart bodies, schemas of parameters, exact numbers and the errors of
the API. Every other part of the sandbox may import it; it imports nothing of the sandbox. It shares
nothing with the client, so that the sandbox checks the client independently.
"""
