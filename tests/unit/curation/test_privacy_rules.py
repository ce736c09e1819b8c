"""The table of rules of privacy is that of the code: each can be taken out, has its tests and its line in the docs."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TOOL = ROOT / "tools" / "removed_rules" / "run.py"


def test_each_rule_is_in_the_code_once_and_has_its_tests_and_its_line_in_the_documents() -> None:
    spec = importlib.util.spec_from_file_location("removed_rules", TOOL)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = tool  # dataclasses look their module up
    spec.loader.exec_module(tool)
    rules = tool.read_rules()
    assert len({rule.rule for rule in rules}) == len(rules) >= 90
    for rule in rules:
        assert (ROOT / rule.file).read_text(encoding="utf-8").count(rule.text) == 1, (
            f"tools/removed_rules/privacy.toml: {rule.rule}"
        )
        assert rule.text != rule.without
        for test in rule.tests:
            file, _, name = test.partition("::")
            assert f"def {name or 'test_'}" in (ROOT / file).read_text(encoding="utf-8"), test
    assert tool.as_markdown(rules) in (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")
