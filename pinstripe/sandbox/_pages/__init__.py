"""The sandbox as people see it in a browser: hosted pages, the console and `stripe.js`.

Only the server imports this package; it uses the products, and they know nothing of it. A page is a
template and a handler that fills it in. What a page does, it does by the steps and control routes
that tests use too.
"""
