"""Identity in the sandbox: verification sessions, reports, and invented people.

`endpoints` has the routes of the API and `steps` the steps of a verification. `people` invents
persons and the findings of checks, `images` the pictures, and `seeding` a long history. `control`
and `driver` let tests take the steps of a person or a reviewer.
"""
