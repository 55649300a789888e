"""A change of thresholds goes into probes.yaml as a person would write it: nothing else moves, or it is refused."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from monitor.config.adopt.plan import planned
from monitor.config.adopt.splice import scalar
from monitor.config.adopt.wish import AdoptError, Adoption, Wish
from monitor.config.adopt.writing import write
from monitor.config.load import load
from tests.edges.adopting_files import BOTH, FILES, SHIPPED, WRITTEN

MINUTE = {"shortest_outage": "1m"}


def wished(path: Path, wish: Wish) -> Adoption:
    return planned(path, load(path, {}), wish, {})


def lines(adoption: Adoption) -> tuple[list[str], list[str]]:
    """Return the lines that go and those that come."""
    before, after = (data.decode("utf-8-sig").splitlines() for data in (adoption.before, adoption.after))
    changes = [line for line in difflib.ndiff(before, after) if line[:2] in ("- ", "+ ")]
    return [line[2:] for line in changes if line[0] == "-"], [line[2:] for line in changes if line[0] == "+"]


def file(folder: Path, text: str) -> Path:
    path = folder / "probes.yaml"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("name", FILES)
def test_every_shape_of_file_takes_thresholds_for_all_and_keeps_what_it_says_beside(tmp_path: Path, name: str) -> None:
    path = file(tmp_path, FILES[name])
    before = load(path, {})
    adoption = wished(path, Wish({"shortest_outage": "1m", "failure_ratio": 0.05}))
    write(adoption)
    after = load(path, {})
    assert [probe.policy for probe in after.catalogue.probes] == [
        type(probe.policy)(**{**_fields(probe.policy), "shortest_outage_s": 60.0, "failure_ratio": 0.05})
        for probe in before.catalogue.probes
    ]
    gone, come = lines(adoption)
    comments = [line.partition("#")[2] for line in FILES[name].splitlines() if "#" in line]
    assert [line.partition("#")[2] for line in path.read_text().splitlines() if "#" in line] == comments
    assert len(gone) <= 2
    assert len(come) <= 6
    assert wished(path, Wish({"shortest_outage": "1m"})).is_nothing


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("service", ["deepseek", "openai"])
def test_thresholds_of_one_service_move_nobody_elses(tmp_path: Path, name: str, service: str) -> None:
    path = file(tmp_path, FILES[name])
    before = {probe.id: probe for probe in load(path, {}).catalogue.probes}
    write(wished(path, Wish(MINUTE, service=service)))
    for probe in load(path, {}).catalogue.probes:
        own = probe.component.startswith(f"{service}/")
        assert probe.policy.shortest_outage_s == (60.0 if own else before[probe.id].policy.shortest_outage_s)


@pytest.mark.parametrize("name", [name for name, text in FILES.items() if "patient" in text])
def test_a_named_policy_is_named_at_every_service(tmp_path: Path, name: str) -> None:
    path = file(tmp_path, FILES[name])
    write(wished(path, Wish({}, "patient")))
    found = load(path, {})
    assert {probe.policy for probe in found.catalogue.probes if not probe.control} == {found.policies["patient"]}
    assert all(probe.policy == found.policies["default"] for probe in found.catalogue.probes if probe.control)


def test_a_named_policy_with_a_change_changes_that_policy(tmp_path: Path) -> None:
    path = file(tmp_path, WRITTEN)
    gone, come = lines(wished(path, Wish({"repeat_page": "2h"}, "patient", "deepseek")))
    assert ["patient: {shortest_outage: 2m, repeat_page: 2h}" in line for line in come] == [True, False]
    assert come[1] == "    policy: patient"
    assert len(gone) == 1


def _fields(policy: Any) -> dict[str, Any]:
    return {name: getattr(policy, name) for name in policy.__dataclass_fields__}


def test_the_difference_of_the_shipped_file_is_the_line_that_changed(tmp_path: Path) -> None:
    path = file(tmp_path, SHIPPED)
    gone, come = lines(wished(path, Wish(MINUTE)))
    assert len(gone) == len(come) == 1
    assert gone[0].replace("35s ", "1m  ") == come[0], "the comment keeps its column"
    gone, come = lines(wished(path, Wish({"repeat_page": "2h"})))
    assert (gone, come) == ([], ["    repeat_page: 2h"])
    gone, come = lines(wished(path, Wish(MINUTE, service="openai")))
    assert gone == []
    assert come == ["  openai:", "    shortest_outage: 1m", "    policy: openai"]


def test_a_policy_that_others_use_is_copied_and_one_that_nobody_else_uses_is_changed(tmp_path: Path) -> None:
    path = file(tmp_path, BOTH)
    gone, come = lines(wished(path, Wish(MINUTE, service="deepseek")))
    assert (gone, come) == (["  alone: {shortest_outage: 50s}"], ["  alone: {shortest_outage: 1m}"])
    write(wished(path, Wish(MINUTE, service="openai")))
    told = load(path, {}).policies
    assert told["openai-patient"].shortest_outage_s == 60.0
    assert told["openai-patient"].repeat_page_s == told["patient"].repeat_page_s == 7200.0
    assert told["patient"].shortest_outage_s == 120.0


@pytest.mark.parametrize(
    ("value", "written"),
    [(True, "true"), (0.05, "0.05"), (3, "3"), ("1m", "1m"), ("on", '"on"'), ("a: b", '"a: b"'), ("1%", "1%")],
)
def test_a_value_is_written_as_it_is_read(value: object, written: str) -> None:
    assert scalar(value) == written


def test_line_ends_a_mark_at_the_beginning_and_rights_stay(tmp_path: Path) -> None:
    path = tmp_path / "probes.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SHIPPED.replace("\n", "\r\n").encode())
    path.chmod(0o640)
    write(wished(path, Wish({"repeat_page": "2h"})))
    data = path.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf#")
    assert data.count(b"\n") == data.count(b"\r\n") == SHIPPED.count("\n") + 1
    assert path.stat().st_mode & 0o7777 == 0o640
    assert [item.name for item in tmp_path.iterdir()] == ["probes.yaml"]


def test_a_link_to_the_file_stays_one(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    real = file(tmp_path / "etc", SHIPPED)
    link = tmp_path / "probes.yaml"
    link.symlink_to(real)
    write(wished(link, Wish(MINUTE)))
    assert link.is_symlink()
    assert "shortest_outage: 1m" in real.read_text()


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = file(tmp_path, SHIPPED)
    adoption = wished(path, Wish(MINUTE))
    path.write_text(SHIPPED + "# mine\n")
    with pytest.raises(AdoptError, match="has changed meanwhile"):
        write(adoption)
    assert path.read_text() == SHIPPED + "# mine\n"
    path.unlink()
    with pytest.raises(AdoptError, match="cannot read"):
        write(adoption)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_told_in_one_line_and_nothing_is_left_behind(tmp_path: Path) -> None:
    path = tmp_path / f"{'p' * 245}.yaml"  # beside it there is no room for a longer name, whoever asks
    path.write_text(SHIPPED)
    with pytest.raises(AdoptError, match=r"cannot write .*: File name too long") as refused:
        write(wished(path, Wish(MINUTE)))
    assert "\n" not in str(refused.value)
    assert path.read_text() == SHIPPED
    assert list(tmp_path.iterdir()) == [path]


REFUSED: Mapping[str, str] = {
    "an alias": (
        "policies:\n  default: {shortest_outage: &s 35s}\n  patient: {shortest_outage: *s}\n"
        "services:\n  - {preset: deepseek, policy: default}\n  - {preset: openai, policy: patient}\n"
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_move_other_probes_is_refused_with_what_to_write(tmp_path: Path, name: str) -> None:
    path = file(tmp_path, REFUSED[name])
    with pytest.raises(AdoptError, match=r"would change other probes too.*write shortest_outage: 1m by hand"):
        wished(path, Wish(MINUTE, service="openai"))
    assert path.read_text() == REFUSED[name]
