"""What host adapters share."""

from __future__ import annotations

import subprocess
import sys

import pytest

from alknet_firewall import (
    Action,
    Alarm,
    ConfigError,
    Firewall,
    FirewallConfig,
    Span,
    Verdict,
    describe,
    shared_firewall,
)

CONFIG = FirewallConfig(plugins=())
SECRET = "the text itself"


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        (Verdict(Action.ALLOW, 0.0, 1.0), "alknet-firewall: user text allowed (no alarm)."),
        (
            Verdict(
                Action.BLOCK,
                0.9,
                0.001,
                (
                    Alarm("injection", Action.BLOCK, 0.9, 0.00123, 5.0, {}, Span(12, 58)),
                    Alarm("jailbreak", Action.REVIEW, 0.5, 0.015, 3.0),
                    Alarm("harmful", Action.ALLOW, 0.5, 0.015, 3.0),
                ),
                "tool",
            ),
            "alknet-firewall: tool text blocked (injection at characters 12 to 58, false-alarm rate 0.0012; "
            "jailbreak, false-alarm rate 0.015).",
        ),
        (
            Verdict(Action.REVIEW, 0.1, 0.5, tokens=100, truncated=True),
            "alknet-firewall: user text held for review (only the first 100 tokens were read).",
        ),
        (
            Verdict(Action.BLOCK, 1.0, 0.0, channel="document", error=f"RuntimeError: cannot read {SECRET}"),
            "alknet-firewall: document text blocked (screening failed with RuntimeError).",
        ),
    ],
)
def test_describe(verdict: Verdict, sentence: str) -> None:
    assert describe(verdict) == sentence


def test_describe_says_what_had_no_text() -> None:
    said = describe(Verdict(Action.ALLOW, 0.0, 1.0), ["input_image", "input_image", "file"])
    assert said == "alknet-firewall: user text allowed (not screened, as without text: input_image, file)."


def test_one_firewall_for_equal_settings() -> None:
    firewall = shared_firewall(CONFIG)
    assert shared_firewall(FirewallConfig(plugins=())) is firewall
    assert shared_firewall({"plugins": []}) is firewall
    assert shared_firewall({"plugins": (), "max_tokens": 100}) is not firewall
    assert shared_firewall(firewall) is firewall


def test_settings_of_the_environment_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALKNET_FIREWALL_PLUGINS", "")
    assert shared_firewall() is shared_firewall(CONFIG)


def test_loaded_when_it_is_given_out() -> None:
    own = Firewall(CONFIG)
    assert own._engine is None
    assert shared_firewall(own)._engine is not None


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(ConfigError, match="max_tokns"):
        shared_firewall({"max_tokns": 1})


def test_describing_a_host_loads_nothing_heavy() -> None:
    code = "import sys; from alknet_firewall import Host, hookimpl; print(sorted({'numpy', 'pydantic'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
