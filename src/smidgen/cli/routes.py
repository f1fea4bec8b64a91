"""Where requests go, as a recipe that the operator names says it: its `[route]` below the flags of `smidgen serve`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smidgen.core.errors import InputError
from smidgen.parts import recipe as recipes
from smidgen.server.settings import ServeSettings

_OF_FALLBACKS = frozenset({"fallback_model", "fallback_key_env", "reference_model", "price_in", "price_out"})
"""What a recipe says of its own fallbacks, and of no others: a key must not go to another's host."""


def with_route(settings: ServeSettings, file: Path) -> ServeSettings:
    """The settings with those of the recipe's `[route]` where no flag gives them.

    Where flags name fallbacks, models, keys and prices of the recipe's are not theirs. Raises RecipeError for a recipe that cannot be read,
    or has no such section.
    """
    route = recipes.route(file)
    own = settings.model_fields_set
    left_out = own | (_OF_FALLBACKS if "fallback" in own else frozenset())
    told = {name: getattr(route, name) for name in route.model_fields_set if name not in left_out}
    return settings.model_copy(update=told)


@contextmanager
def told_of(file: Path | None) -> Iterator[None]:
    """What goes wrong within the block is said with the name of the recipe, where there is one: the mistake may be in it."""
    try:
        yield
    except InputError as error:
        if file is None or type(error) is not InputError:  # another kind names its own file
            raise
        todo = f"{error.todo} Where {file} says it: --fallback-model is fallback_model under [route], and so are the others."
        raise InputError(error.what, value=error.value, todo=todo) from None
