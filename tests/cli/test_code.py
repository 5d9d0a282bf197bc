"""What is compiled of the services is found again by those who run as another user."""

from pathlib import Path

from numba.core.caching import UserProvidedCacheLocator

from cli.product.code import kept_in


def test_directory_of_the_cache_is_the_one_that_numba_looks_in() -> None:
    here = Path(__file__).resolve()
    assert kept_in(here.parent) == UserProvidedCacheLocator.get_suitable_cache_subpath(str(here))
