"""A Neon is found by its phone's name; the simulated one announces itself on loopback as a real one does."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import click
import pytest
from click.testing import CliRunner

from gazecapture.cli import cli
from gazecapture.cli.neon_option import neon_choice, neon_options
from gazecapture.console import run_command
from gazecapture.sources import neon_discovery
from gazecapture.sources.neon_discovery import FoundNeon, find_neon, service_name
from gazecapture.sources.neon_simulator import SimulatedNeon, SimulatorOptions
from keyframes.errors import DeviceUnavailableError, ExitCode, UsageError
from tests.waiting import LIMIT_S, wait_until


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neon_discovery, "INTERFACES", ["127.0.0.1"])


@pytest.fixture(scope="module")
def phones() -> Iterator[list[SimulatedNeon]]:
    """Two phones with names that no other test run on this machine has."""
    made = [
        SimulatedNeon(
            SimulatorOptions(
                seed=1 + secrets.randbelow(1 << 30), video=False, eye_events=False, imu=False, announce=True
            )
        )
        for _ in range(2)
    ]
    with ThreadPoolExecutor() as pool:
        list(pool.map(SimulatedNeon.start, made))
    yield made
    for phone in made:
        phone.stop()


def test_it_is_found_by_its_name(phones: list[SimulatedNeon]) -> None:
    for phone in phones:
        found = find_neon(phone.name, wait_s=LIMIT_S)
        assert found == FoundNeon(name=phone.name, host="127.0.0.1", port=phone.port)


def test_the_option_finds_it(phones: list[SimulatedNeon], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neon_discovery, "SEARCH_S", LIMIT_S)

    @click.command()
    @neon_options
    def command(**neon: object) -> None:
        choice = neon_choice(**neon)  # type: ignore[arg-type]
        assert choice is not None
        click.echo(" ".join(choice.arguments()))

    done = CliRunner().invoke(command, ["--neon", f"find:{phones[0].name}", "--neon-imu"])
    # The recorder's process is told the address, so that it need not look for the phone again.
    assert done.stdout == f"--neon 127.0.0.1:{phones[0].port} --neon-imu\n"


def test_one_of_several_is_not_guessed(phones: list[SimulatedNeon]) -> None:
    with pytest.raises(UsageError, match="several Neons") as caught:
        find_neon(wait_s=LIMIT_S)
    assert caught.value.code == "GT-AMBIGUOUS-NEON"


def test_one_that_is_not_there_is_missed_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceUnavailableError, match="no Neon named 'nobody' answered") as caught:
        find_neon("nobody", wait_s=0.1)
    assert caught.value.code == "GT-NO-NEON"
    monkeypatch.setattr(neon_discovery, "SEARCH_S", 0.1)
    assert run_command(cli, ["record", "--out", "no-such", "--neon", "find:nobody"]) == ExitCode.INTERNAL


def test_streams_lists_them_beside_the_streams(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, phones: list[SimulatedNeon]
) -> None:
    monkeypatch.setattr(neon_discovery, "SEARCH_S", 3.0)
    found: list[str] = []

    def is_listed() -> bool:
        run_command(cli, ["streams", "--neon", "--wait-s", "0.1", "--measure-s", "0", "--json"])
        told = json.loads(capsys.readouterr().out)
        assert sorted(told) == ["neons", "streams"]
        found[:] = [neon["name"] for neon in told["neons"]]
        return phones[0].name in found

    wait_until(is_listed, f"for the phone: {found}")


@pytest.mark.parametrize("host", ["::", "localhost"])
def test_only_an_address_is_announced(host: str) -> None:
    assert run_command(cli, ["simulate-neon", "--announce", "--host", host]) == ExitCode.USAGE


def test_what_is_no_phone_is_passed_over() -> None:
    assert neon_discovery._phone_name(service_name("Lab: room 3", "abc")) == "Lab: room 3"
    assert neon_discovery._phone_name("PI monitor:phone._http._tcp.local.") == "phone"
    assert neon_discovery._phone_name("Printer:PI monitor:x._http._tcp.local.") is None
