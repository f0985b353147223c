"""The crypto onramp in the sandbox: sessions, quotes and their prices.

`endpoints` has the routes of the API, `rules` what a new session accepts, `steps` the steps of a
buyer, and `pricing` the rates and fees. `control` and `driver` let tests take the steps of a buyer.
"""
