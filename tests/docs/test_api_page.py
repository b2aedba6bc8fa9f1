"""The page of the API says what the API serves, no more and no less."""

from tests.docs.api_page import page
from tests.servers import ROOT
from tests.system import System


def test_the_page_is_what_the_description_gives(shared: System) -> None:
    assert shared.app is not None
    assert (ROOT / "docs/api.md").read_text() == page(shared.app.openapi())
