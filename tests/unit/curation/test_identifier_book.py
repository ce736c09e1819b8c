from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from curation.privacy import Identifiers
from curation.privacy.book import IdentifierBook

texts = st.frozensets(st.text(st.characters(exclude_categories=())), max_size=2)


@settings(max_examples=25)
@given(st.dictionaries(st.text(max_size=3), st.builds(Identifiers, names=texts, ids=texts), max_size=3))
def test_what_was_put_in_comes_out_again(given_out: dict[str, Identifiers]) -> None:
    book = IdentifierBook()
    for reading_id, own in given_out.items():
        book[reading_id] = Identifiers()
        book[reading_id] = own
    assert dict(book) == given_out
    assert len(book) == len(given_out)
    for reading_id in given_out:
        del book[reading_id]
    assert not book
