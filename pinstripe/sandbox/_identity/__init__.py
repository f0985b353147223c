"""Identity in the sandbox: verification sessions, reports, and invented people.

`endpoints` has the routes of the API, `steps` the steps of a verification, and `access` the secrets
and addresses by which a person opens a session. `people` invents persons and the findings of
checks, `images` the pictures, and `seeding` a long history. `control` and `driver` let tests take
the steps of a person or a reviewer.
"""
