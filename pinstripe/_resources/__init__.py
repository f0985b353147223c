"""What the resource classes of the products are made of.

Here are endpoints, lists and their pagers, parallel walks, uploads and downloads. The products and
the exports import this wing, and it imports the wings below it. No module here imports a product,
so a new product is a module of models, signatures and `Endpoint` lines.
"""
