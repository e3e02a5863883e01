"""Plugins: really installed ones (a module and its metadata on the path), good and broken in every way."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from alknet_firewall.errors import PluginError
from alknet_firewall.plugins import load_plugins

Install = Callable[..., None]
BUILT_IN = ["onnxruntime", "openvino", "cuda", "torch"]

GOOD = """
from alknet_firewall.plugins import hookimpl

class Shouting:
    name = "shouting"
    default_action = "review"
    def assess(self, passages, channel): return []
    def log_false_alarm_rate(self, log_odds, channel, windows): return 0.0
    def false_alarm_rate(self, log_odds, channel, windows): return 1.0

class Backend:
    name = "{module}"
    rank = 50
    precisions = ("fp32",)
    families = None
    def unavailable(self): return None
    def load(self, spec): raise NotImplementedError

class Named:
    name = "{module}"
    def shares(self, states, suffix): raise NotImplementedError
"""
BACKEND = GOOD + "@hookimpl\ndef alknet_firewall_backends(): return [Backend()]\n"
BEHAVIOR = GOOD + "@hookimpl\ndef alknet_firewall_behaviors(): yield Shouting()\n"
BOTH = BACKEND + "@hookimpl\ndef alknet_firewall_behaviors(): {body}\n"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a distribution `name` of one module `alknet_test_<name>` with an entry point of that name."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(name: str, code: str, *, body: str = "", point: str | None = None, folder: str = "") -> None:
        place = tmp_path / folder
        module = f"alknet_test_{name}"
        monkeypatch.delitem(sys.modules, module, raising=False)
        metadata = place / f"{module}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[alknet_firewall]\n{point or name} = {module}\n")
        (place / f"{module}.py").write_text(code.replace("{module}", module).replace("{body}", body))

    return install


def test_the_built_in_backends_load_without_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_plugins([])  # imports all that the built-in plugin needs, before the path is taken away
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    plugins = load_plugins()
    assert list(plugins.backends) == BUILT_IN
    assert plugins.broken == {}


def test_the_built_in_backends_load_once_with_metadata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_plugins([])
    metadata = tmp_path / "alknet_firewall-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: alknet-firewall\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[alknet_firewall]\nbuiltin = alknet_firewall.plugins.builtin\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    plugins = load_plugins()
    assert list(plugins.backends) == BUILT_IN
    assert plugins.broken == {}


def test_a_plugin_adds_what_its_hooks_return(install: Install) -> None:
    install("all", BEHAVIOR + "@hookimpl\ndef alknet_firewall_backends(): return (Backend(),)\n")
    install(
        "named",
        GOOD
        + "@hookimpl\ndef alknet_firewall_readouts(): return [Named()]\n"
        + "@hookimpl\ndef alknet_firewall_hosts(): return [Named()]\n",
    )
    plugins = load_plugins(["all", "named"])
    assert plugins.broken == {}
    assert list(plugins.backends) == [*BUILT_IN, "alknet_test_all"]
    assert list(plugins.behaviors) == ["shouting"]
    assert list(plugins.readouts) == ["last", "template_end", "mean", "alknet_test_named"]
    assert list(plugins.hosts) == ["alknet_test_named"]


def test_an_entry_point_may_name_an_object_in_a_module(install: Install) -> None:
    code = "class Plugin:\n    @hookimpl\n    def alknet_firewall_behaviors(self): return [Shouting()]\n"
    install("object", GOOD + code + "plugin = Plugin()\n", point="object = alknet_test_object:plugin\n#")
    assert list(load_plugins(["object"]).behaviors) == ["shouting"]


@pytest.mark.parametrize(
    ("code", "body", "told"),
    [
        ("import no_such_module_anywhere", "", "ModuleNotFoundError: "),
        ("raise SystemExit(3)", "", "SystemExit: 3"),
        ("def broken(:", "", "SyntaxError: "),
        ("x = 1", "", "implements no hook"),
        (GOOD + "@hookimpl\ndef alknet_firewall_behaviours(): return []\n", "", "alknet_firewall_behaviours"),
        (GOOD + "@hookimpl\ndef alknet_firewall_hosts(a, b): return []\n", "", "PluginValidationError: "),
        (BOTH, "1 / 0", "ZeroDivisionError: "),
        (BOTH, "yield Shouting(); 1 / 0", "ZeroDivisionError: "),
        (BOTH, "return Shouting()", "alknet_firewall_behaviors should return a list, not "),
        (BOTH, "return 'shouting'", "returned a str without 'name'"),
        (BOTH, "return [Shouting]", "should return instances, not the class Shouting"),
        (BOTH, "return [Named()]", "returned a Named without 'default_action'"),
        (BOTH, "x = Shouting(); x.name = 3; return [x]", "returned a Shouting whose name is 3"),
        (BOTH, "x = Shouting(); x.name = ''; return [x]", "returned a Shouting whose name is ''"),
        (BOTH, "x = Shouting(); x.assess = 3; return [x]", "returned a Shouting whose assess is 3"),
        (BOTH, "return [Shouting(), Shouting()]", "returned 'shouting' twice"),
        (BACKEND + "Backend.rank = 'low'", "", "returned a Backend whose rank is 'low'"),
        (BACKEND + "Backend.name = 'torch'", "", "the name 'torch' already"),
    ],
)
def test_a_broken_plugin_is_left_out_whole_and_the_others_go_on(
    install: Install, caplog: pytest.LogCaptureFixture, code: str, body: str, told: str
) -> None:
    install("aaa", BACKEND)
    install("bad", code, body=body)
    install("zzz", BEHAVIOR)
    with caplog.at_level(logging.WARNING, "alknet_firewall"):
        plugins = load_plugins()
    assert list(plugins.broken) == ["bad"]
    assert told in plugins.broken["bad"]
    assert list(plugins.backends) == [*BUILT_IN, "alknet_test_aaa"]
    assert list(plugins.behaviors) == ["shouting"]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert plugins.broken["bad"] in warnings[0]
    with pytest.raises(PluginError, match=r"asked for by `plugins`, but cannot be loaded: bad: "):
        load_plugins(["aaa", "bad", "zzz"])


def test_an_interrupt_is_not_swallowed(install: Install) -> None:
    install("stop", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_plugins(["stop"])


def test_nobody_takes_the_place_of_the_built_in_plugin(install: Install) -> None:
    install("usurper", BACKEND + "Backend.name = 'onnxruntime'", point="builtin")
    plugins = load_plugins([])
    assert list(plugins.backends) == BUILT_IN
    plugins = load_plugins()
    assert type(plugins.backends["onnxruntime"]).__module__ == "alknet_firewall.detector.onnx_runtime"
    assert "'onnxruntime'" in plugins.broken["builtin (alknet_test_usurper)"]


def test_two_plugins_of_one_name_are_told_apart(install: Install) -> None:
    install("one", BEHAVIOR, point="twin")
    install("two", BEHAVIOR, point="twin")
    plugins = load_plugins()
    assert type(plugins.behaviors["shouting"]).__module__ == "alknet_test_one"
    assert list(plugins.broken) == ["twin (alknet_test_two)"]


def test_a_distribution_found_twice_loads_once(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("again", BEHAVIOR)
    install("again", BEHAVIOR, folder="copy")
    monkeypatch.syspath_prepend(tmp_path / "copy")
    plugins = load_plugins(["again"])
    assert list(plugins.behaviors) == ["shouting"]
    assert plugins.broken == {}


def test_the_allow_list(install: Install) -> None:
    install("wanted", BEHAVIOR)
    install("unwanted", "raise AssertionError('imported though not allowed')")
    plugins = load_plugins(["wanted"])
    assert list(plugins.behaviors) == ["shouting"]
    assert plugins.broken == {}
    nothing = load_plugins(())
    assert list(nothing.backends) == BUILT_IN
    assert nothing.behaviors == {}
    assert {"unwanted"} <= load_plugins(None).broken.keys()


def test_an_allowed_plugin_that_is_not_installed(install: Install) -> None:
    install("present", BEHAVIOR)
    with pytest.raises(PluginError, match=r"no plugin 'absent' is installed; installed: .*builtin.*present"):
        load_plugins(["present", "absent"])


def test_discovery_imports_neither_torch_nor_pydantic() -> None:
    code = (
        "import sys; from alknet_firewall.plugins import load_plugins; load_plugins([]);"
        "print(sorted({'torch', 'transformers', 'pydantic'} & sys.modules.keys()))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
