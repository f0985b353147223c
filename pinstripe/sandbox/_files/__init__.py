"""Files and file links in the sandbox.

`endpoints` has the routes of the API, `purposes` the rules of each purpose, and `media` the
recognition of file formats. The images of a verification are files too, so `_identity` uses this
package.
"""
