"""Which parameters of a resource are private: those whose type says so, as it does in a model.

The errors of a call repeat no value of a private parameter. The types are looked at when the first
call of a resource fails.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from functools import cache
from inspect import isfunction
from typing import Any, get_args, get_origin, get_type_hints

from typing_extensions import is_typeddict

from pinstripe._models.record import is_private


@cache
def private_paths(resource: Hashable) -> frozenset[str]:
    """Return the paths of the private parameters of all methods of a resource.

    Args:
        resource: The class. A path of it is such as `metadata`, or `request[headers][][value]`,
            and covers everything below it.
    """
    methods = (member for member in vars(resource).values() if isfunction(member))
    public = (method for method in methods if not method.__name__.startswith("_"))
    hints = (get_type_hints(method, include_extras=True) for method in public)
    return frozenset(
        path for types in hints for name, hint in types.items() for path in _paths(name, hint)
    )


def _paths(path: str, hint: Any) -> Iterator[str]:
    """Yield the private paths in a parameter of a type."""
    if is_private(hint):
        yield path
        return
    if is_typeddict(hint):
        for key, inner in get_type_hints(hint, include_extras=True).items():
            yield from _paths(f"{path}[{key}]", inner)
        return
    # A union, a list or a type that is not required has its members as arguments.
    below = f"{path}[]" if get_origin(hint) is Sequence else path
    for inner in get_args(hint):
        yield from _paths(below, inner)
