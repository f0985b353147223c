"""Files and file links in the sandbox.

Here are the endpoints, the purposes with what each accepts, and the recognition of media types.
The identity part imports it for the images of a verification, and the server as it does every
product.
"""
