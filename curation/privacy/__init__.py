"""What must not leave the store: names, words that could be names, and strings of no known kind."""

from curation.privacy.identifiers import Identifiers
from curation.privacy.lexicon import Lexicon, load_lexicon
from curation.privacy.redaction import REDACTED, Redactor
from curation.privacy.strings import STRING_RULES, RowGuard

__all__ = ["REDACTED", "STRING_RULES", "Identifiers", "Lexicon", "Redactor", "RowGuard", "load_lexicon"]
