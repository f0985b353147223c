"""What the resource classes of the products are made of.

Here are endpoints, lists and their pagers, parallel walks, uploads and downloads. The products and
the exports import this wing, and it imports every wing below; it names no product, so that a new
one is a module of signatures and `Endpoint` lines.
"""
