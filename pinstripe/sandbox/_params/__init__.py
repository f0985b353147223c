"""How the sandbox reads the parameters of a request, and refuses them.

Here are forms, multipart bodies, schemas of parameters, numbers and the errors of the API. Every
other part of the sandbox may import this one; it imports nothing, and shares nothing with the
client, so that each is a witness of the other.
"""
