"""Climate in the sandbox: products, suppliers and orders of carbon removal.

`endpoints` has the routes of the API and `orders` the steps of an order. `stock` has the products
with their prices and what is left of them, which start from `catalogue`. `control` and `driver`
let tests take the steps of the service and its suppliers.
"""
