"""Identity in the sandbox: verification sessions, reports and people.

Here are the endpoints, the steps of a verification, the invented people and their images, and the
control routes and driver of tests. Only the server imports it, as it does every product.
"""
