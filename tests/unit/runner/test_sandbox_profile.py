"""The sandbox as data: what is mounted in which order, what a control group is told, what the report admits."""

import os
from pathlib import Path, PurePosixPath

import pytest
from msgspec.structs import replace

from conveyor.runner.sandbox import Ability, SandboxSettings, reach, report
from conveyor.runner.sandbox.cgroups import Cgroups, GroupLimits, overrun, settings
from conveyor.runner.sandbox.profile import PrivateGit, Profile, arguments, proxy_variables

PLAIN = Profile(
    program="/usr/bin/bwrap",
    worktree="/srv/root/worktrees/T",
    home="/srv/root/homes/claude",
    scratch="/srv/root/scratch/r",
    shm="/srv/root/rooms/r/shm",
    root="/srv/root",
    passwd="/srv/root/rooms/r/passwd",
    group="/srv/root/rooms/r/group",
)
TAKES = {"--ro-bind": 2, "--ro-bind-try": 2, "--bind": 2, "--symlink": 2, "--tmpfs": 1, "--dev": 1, "--proc": 1}


def mounts(profile: Profile) -> dict[str, str]:
    """Where what is mounted how, in order."""
    words, found = list(arguments(profile)), {}
    for index, word in enumerate(words):
        if word in TAKES:
            found[words[index + TAKES[word]]] = word
    return found


@pytest.mark.behaviour("RU-12")
def test_little_can_be_written_and_nothing_of_ours_is_seen() -> None:
    found = mounts(PLAIN)
    writable = {path for path, how in found.items() if how == "--bind"}
    assert writable == {PLAIN.worktree, PLAIN.home, PLAIN.scratch, "/tmp", "/dev/shm"}
    assert found["/srv/root"] == "--tmpfs"
    assert not {"/", "/etc", "/home", "/root", "/run", "/var", "/proc/1"} & set(found)


def test_what_lies_within_is_mounted_after_it() -> None:
    git = PrivateGit(
        mirror="/srv/root/mirrors/a/b.git",
        own="/srv/root/rooms/r/git",
        objects="/srv/root/mirrors/a/b.git/objects",
        objects_seen="/srv/root/mirrors/a/b.git/mirror-objects",
    )
    order = list(mounts(replace(PLAIN, git=git, readable=("/srv",), hidden=("/srv/conveyor.toml", "/etc/conveyor"))))
    for index, path in enumerate(order):
        assert not any(PurePosixPath(later) in PurePosixPath(path).parents for later in order[index:])
    assert "/srv/conveyor.toml" in order
    assert "/etc/conveyor" not in order, "what is absent anyway needs no cover"
    words = arguments(PLAIN)
    last = max(index for index, word in enumerate(words) if word in TAKES)
    assert words.index("--remount-ro") > last, "memory that is seen as a folder cannot be filled"


def test_network_is_shared_only_when_it_is_open() -> None:
    assert "--unshare-net" not in arguments(PLAIN)
    for network in ("hosts", "none"):
        assert "--unshare-net" in arguments(replace(PLAIN, network=network))
    assert proxy_variables(PLAIN) == {}
    assert proxy_variables(replace(PLAIN, network="hosts"))["HTTPS_PROXY"].startswith("http://127.0.0.1:")


def test_a_runner_that_is_root_seals_what_roots_files_open() -> None:
    sealed = mounts(replace(PLAIN, is_root=True))
    assert sealed["/proc/sys"] == sealed["/proc/sysrq-trigger"] == "--ro-bind-try"
    assert "--disable-userns" in arguments(replace(PLAIN, is_root=True))
    assert "/proc/sys" not in mounts(PLAIN), "else no agent could build a sandbox of its own"


def test_a_program_brings_its_installation_but_never_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    for name in ("node/bin/tool", ".local/bin/agent", ".local/share/agent/1.0/agent", "bin/own", "tools/x/lib/y.py"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("#!/bin/sh\n")
        (home / name).chmod(0o755)
    (home / ".local/bin/link").symlink_to("../share/agent/1.0/agent")

    def needed(program: str) -> set[str]:
        return {str(Path(path).relative_to(home)) for path in reach.of_program(str(home / program), "/usr/bin")}

    assert needed("node/bin/tool") == {"node"}
    assert needed(".local/bin/agent") == {".local/bin/agent"}
    assert needed(".local/bin/link") == {".local/bin/link", ".local/share/agent/1.0/agent"}
    assert needed("bin/own") == {"bin/own"}
    assert reach.of_program("sh", "/usr/bin") == ()
    assert reach.of_program("nowhere", "/usr/bin") == ()


def test_a_control_group_is_told_what_it_can_limit() -> None:
    limits = GroupLimits(memory_mb=100, processes=20, cpus=1.5)
    assert settings(limits, frozenset()) == {}
    assert settings(limits, frozenset({"memory", "pids", "cpu"})) == {
        "memory.max": "104857600",
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "20",
        "cpu.max": "150000 100000",
    }
    assert settings(GroupLimits(), frozenset({"memory", "pids", "cpu"})) == {}


def test_a_group_tells_when_its_memory_was_used_up(tmp_path: Path) -> None:
    (tmp_path / "memory.events").write_text("low 0\noom 1\noom_kill 0\n")
    assert overrun(str(tmp_path)) == ""
    (tmp_path / "memory.events").write_text("oom 1\noom_kill 3\n")
    assert "killed 3" in overrun(str(tmp_path))


def test_without_a_place_for_groups_there_are_none(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text("30 23 0:26 / /nowhere rw - tmpfs tmpfs rw\n")
    (tmp_path / "cgroup").write_text("0::/\n")
    assert Cgroups.find(tmp_path) is None
    assert Cgroups.find(tmp_path / "gone") is None


def test_a_group_of_our_own_hands_its_controllers_on(tmp_path: Path) -> None:
    """As it looks under systemd with Delegate=yes: we move into a seat of our own, since a parent holds no process."""
    proc, own = tmp_path / "proc", tmp_path / "cgroup" / "conveyor.service"
    proc.mkdir()
    (proc / "mountinfo").write_text(f"30 23 0:26 / {tmp_path}/cgroup rw shared:4 - cgroup2 cgroup2 rw\n")
    (proc / "cgroup").write_text("1:name=systemd:/x\n0::/conveyor.service\n")
    groups = own / f"conveyor-{os.getpid()}"
    groups.mkdir(parents=True)
    for name, text in {"controllers": "cpu io memory pids", "procs": str(os.getpid()), "type": "domain"}.items():
        (own / f"cgroup.{name}").write_text(text)
    (groups / "cgroup.kill").write_text("")
    found = Cgroups.find(proc)
    assert found == Cgroups(root=groups, controllers=frozenset({"cpu", "memory", "pids"}))
    assert (own / "runner" / "cgroup.procs").read_text() == str(os.getpid())
    group = Path(found.make("run 1", GroupLimits(memory_mb=1, processes=2)))
    assert (group / "memory.max").read_text() == "1048576"
    assert (group / "pids.max").read_text() == "2"


def test_a_group_with_others_in_it_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text(f"30 23 0:26 / {tmp_path} rw - cgroup2 cgroup2 rw\n")
    (tmp_path / "cgroup").write_text("0::/\n")
    groups = tmp_path / f"conveyor-{os.getpid()}"
    groups.mkdir()
    for name, text in {"controllers": "memory pids", "procs": f"1\n{os.getpid()}", "type": "domain"}.items():
        (tmp_path / f"cgroup.{name}").write_text(text)
    (groups / "cgroup.kill").write_text("")
    assert Cgroups.find(tmp_path) == Cgroups(root=groups)
    assert not (tmp_path / "runner").exists()


def test_the_report_admits_what_does_not_hold() -> None:
    bare = Ability(why_not="bubblewrap is not installed: install it")
    walls = Ability(bubblewrap="/usr/bin/bwrap")
    open_points = [holding for holding in report(SandboxSettings(cpus=2), bare) if not holding.holds]
    assert len(open_points) == 4
    assert sum("not installed" in holding.why for holding in open_points) == 3
    assert all(holding.holds for holding in report(SandboxSettings(), walls))
    assert not all(holding.holds for holding in report(SandboxSettings(mode="none"), walls))
