"""Advice is written for its reader: someone who types, who writes a sidecar, or an operator."""

from __future__ import annotations

import shlex

import pytest

from genept.common.errors import advising, audience, get_again, option, setting


def test_at_the_command_line_an_option_can_be_pasted():
    with advising("command_line"):
        text = option("ignore", ["it's", "a b"])
        assert shlex.split(text) == ["--option", 'ignore=["it\'s", "a b"]']
        assert setting("unit", "tpm") == "--unit tpm"
    assert audience() == "catalogue"


@pytest.mark.parametrize("reader", ["sidecar", "catalogue"])
def test_elsewhere_it_is_the_line_of_a_declaration(reader):
    with advising(reader):
        assert option("unmatched", "quarantine") == "options.unmatched = 'quarantine'"
        assert setting("unit", "tpm") == 'unit = "tpm"'


def test_only_what_was_downloaded_is_fetched_again():
    assert get_again("delete it") == "delete it"
    for reader in ("command_line", "sidecar"):
        with advising(reader):
            assert get_again("delete it") == "copy the whole file again from where it came"
