"""What an agent can and cannot do in its room, tried by one that tries."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from conveyor.contracts.errors import SettingsError
from conveyor.runner.process import Stop
from conveyor.runner.sandbox import Ability, Hideout, Sandbox, SandboxSettings, check
from conveyor.runner.workspace import Workspaces
from tests.unit.runner.forge import BRANCH, Forge, plain_git, publish, request_for
from tests.unit.runner.inside import MODES, PATH, Inside, needs_bubblewrap


def person(script: str, where: Path) -> None:
    """Run a shell script as somebody with a name, outside."""
    names = {f"GIT_{who}_{what}": "p@x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(["/bin/sh", "-ec", script], cwd=where, env={"PATH": PATH, **names}, check=True)


def there(paths: list[Path]) -> list[Path]:
    return [path for path in paths if path.exists()]


CANARY = "canary-7f3a91c2"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@needs_bubblewrap
@pytest.mark.behaviour("RU-12")
async def test_no_secret_of_ours_is_in_reach(
    root: Path, forge: Forge, workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the runner's environment, in /proc, in its configuration, beside it, in its HOME: the canary is not heard."""
    monkeypatch.setenv("CONVEYOR_GITEA__TOKEN", CANARY)
    outside = root.parent
    places = [outside / "conveyor.toml", outside / "home" / ".netrc", root / "worktrees" / "other.T-1" / "secret"]
    places += [outside / "shared" / "conveyor.toml", root / "mirrors" / "secret"]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(CANARY)
    (outside / "shared" / "tool").write_text("useful")
    workspace = await workspaces.prepare(request_for(forge))
    settings = SandboxSettings(mode="bubblewrap", readable=(str(outside / "shared"),))
    seeker = f"""
import os
print(dict(os.environ))
for pid in [p for p in os.listdir('/proc') if p.isdigit()]:
    for name in ('environ', 'cmdline'):
        try: print(pid, open(f'/proc/{{pid}}/{{name}}', 'rb').read())
        except OSError as error: print(error)
for path in {[str(place) for place in places]!r}:
    try: print(open(path).read())
    except OSError as error: print(error)
for folder, _, files in os.walk({str(outside)!r}):
    for name in files:
        try: print(folder, name, open(os.path.join(folder, name), 'rb').read()[:200])
        except OSError as error: print(error)
print(open({str(outside / "shared" / "tool")!r}).read(), os.getuid(), len(os.listdir('/proc')))
"""
    hidden = (str(outside / "shared" / "conveyor.toml"), str(outside / "conveyor.toml"))
    ended, said = await Inside(root, settings, hidden).python(workspace, seeker)
    assert ended.code == 0, said
    assert CANARY not in said
    assert "useful" in said
    assert str(os.getpid()) not in [line.partition(" ")[0] for line in said.splitlines() if " b'" in line]


async def test_without_walls_the_environment_still_holds_no_secret(
    root: Path, forge: Forge, workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in the agent's, not in its parent's."""
    monkeypatch.setenv("CONVEYOR_GITEA__TOKEN", CANARY)
    workspace = await workspaces.prepare(request_for(forge))
    code = """
import os
print(open('/proc/self/environ').read())
try: print(open(f'/proc/{os.getppid()}/environ').read())
except PermissionError: print('concealed')
"""
    ended, said = await Inside(root, SandboxSettings(mode="none")).python(workspace, code)
    assert "CONVEYOR_RUN_ID" in said, ended
    assert CANARY not in said


@needs_bubblewrap
@pytest.mark.behaviour("RU-12")
async def test_writes_stay_in_worktree_scratch_and_home(root: Path, forge: Forge, workspaces: Workspaces) -> None:
    workspace = await workspaces.prepare(request_for(forge))
    granted = root.parent / "cache"
    granted.mkdir()
    inside = Inside(root, SandboxSettings(mode="bubblewrap", writable=(str(granted),)))
    allowed = [workspace.path / "w", inside.scratch / "s", inside.home / "h", Path("/tmp/t"), granted / "c"]
    refused = [root / "r", *map(Path, ("/usr/u", "/etc/e", "/e", "/dev/d", "/run/r"))]
    code = f"""
import os
for path in {[str(path) for path in (*allowed, *refused)]!r}:
    try:
        open(path, 'w').write('x'); print('wrote', path)
    except OSError: print('refused', path)
open('/dev/shm/s', 'w').write('x'); open('/dev/null', 'w').write('x')
try: os.rename({str(workspace.path / ".git")!r}, 'moved')
except OSError: print('holds')
"""
    ended, said = await inside.python(workspace, code)
    assert ended.code == 0, said
    assert [line.split()[1] for line in said.splitlines() if line.startswith("wrote")] == [str(p) for p in allowed]
    assert "holds" in said
    assert (inside.scratch / "t").exists(), "its /tmp is its scratch"
    assert there(refused) == []
    assert (granted / "c").exists()


@needs_bubblewrap
async def test_what_lies_in_other_repositories_is_not_fetched(root: Path, forge: Forge, workspaces: Workspaces) -> None:
    """Whoever knows a commit of another repository on this runner could else have it pushed into its own."""
    other = root / "mirrors" / "other" / "secret.git"
    forge.git("clone", "--quiet", "--bare", str(forge.bare), str(other), cwd=root.parent)
    forge.git("commit", "--quiet", "--allow-empty", "-m", "secret")
    forge.git("push", "--quiet", str(other), "HEAD:refs/heads/secret")
    secret = forge.git("rev-parse", "HEAD")
    workspace = await workspaces.prepare(request_for(forge))
    steal = f"cd $(git rev-parse --git-common-dir); echo {other}/objects > objects/info/alternates; cd $OLDPWD"
    inside = Inside(root, SandboxSettings(mode="bubblewrap"))
    await inside.shell(workspace, f"{steal}; echo {secret} > $(git rev-parse --git-dir)/HEAD")
    await publish(workspaces, workspace)
    assert secret not in forge.git("rev-list", "--all", cwd=forge.bare)
    assert inside.said, "the run's log says that its commits were left out"


@needs_bubblewrap
@pytest.mark.behaviour("RU-12")
async def test_the_kernel_takes_no_orders_from_inside(root: Path, forge: Forge, workspaces: Workspaces) -> None:
    """Also where the runner is root: owning a file of /proc/sys would be enough to name a program run outside."""
    workspace = await workspaces.prepare(request_for(forge))
    code = """
import ctypes, os
OWN = ('msg', 'sem', 'shm', 'auto_msgmni', 'queues_max', 'ns_last_pid')  # of its own namespaces
for top in ('/proc/sys/kernel', '/proc/sys/vm', '/proc/sys/fs', '/proc/irq', '/proc/bus', '/sys'):
    for folder, _, names in os.walk(top):
        for name in names:
            if name.startswith(OWN): continue
            try: os.close(os.open(os.path.join(folder, name), os.O_WRONLY)); print(folder, name)
            except OSError: pass
try: os.close(os.open('/proc/sysrq-trigger', os.O_WRONLY)); print('sysrq')
except OSError: pass
status = open('/proc/self/status').read()
print([line.split()[1] for line in status.splitlines() if line.startswith(('CapEff', 'CapBnd', 'NoNewPrivs'))])
print(ctypes.CDLL(None).unshare(0x10000000) if os.stat('/proc/sys').st_uid == os.getuid() else -1)
"""
    _, said = await Inside(root, SandboxSettings(mode="bubblewrap")).python(workspace, code)
    assert said.splitlines() == ["['0000000000000000', '0000000000000000', '1']", "-1"]


@needs_bubblewrap
async def test_no_descriptor_of_ours_is_open_inside(root: Path, forge: Forge, workspaces: Workspaces) -> None:
    workspace = await workspaces.prepare(request_for(forge))
    code = "import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1])"
    _, said = await Inside(root, SandboxSettings(mode="bubblewrap")).python(workspace, code)
    assert said == "[0, 1, 2]\n"


@needs_bubblewrap
async def test_what_it_commits_itself_comes_home(root: Path, forge: Forge, workspaces: Workspaces) -> None:
    """Its own commits, what it only added, and what it left lying; on whatever branch it ended."""
    forge.push("feature/other", {"secret.txt": "x"}, base="origin/main")
    workspace = await workspaces.prepare(request_for(forge))
    script = """
    git status --short; git log -1 --format=%s
    echo one > one.txt; git add one.txt; git commit -qm 'by the agent'
    git checkout -qb side; echo two > two.txt; git add two.txt; git commit -qm 'on a side branch'
    echo three > three.txt; git add three.txt
    echo four > four.txt
    git gc -q
    """
    said = await Inside(root, SandboxSettings(mode="bubblewrap")).shell(workspace, script)
    assert "work on main" in said
    await publish(workspaces, workspace)
    files = [".gitignore", "README.md", "four.txt", "one.txt", "three.txt", "two.txt"]
    assert forge.files(BRANCH) == files
    subjects = forge.git("log", "-3", "--format=%s", BRANCH, cwd=forge.bare).splitlines()
    assert subjects == ["SHOP-12 developer: work", "on a side branch", "by the agent"]
    again = await workspaces.prepare(request_for(forge))
    assert again.path.joinpath("one.txt").read_text() == "one\n"


@needs_bubblewrap
@pytest.mark.parametrize(
    "wreck",
    [
        "rm -rf $(git rev-parse --git-common-dir)/* 2>/dev/null || true",
        "for o in $(git rev-parse --git-common-dir)/objects/??/*; do chmod u+w $o; echo bad > $o; done",
        "echo 'ref: refs/heads/../../../../etc/passwd' > $(git rev-parse --git-dir)/HEAD",
        "d=$(git rev-parse --git-dir); rm $d/HEAD; ln -s /etc/hosts $d/HEAD",
        "cd $(git rev-parse --git-common-dir); mv objects other; ln -s other objects; cd $OLDPWD",
        "cd $(git rev-parse --git-common-dir)/objects; mkdir -p pack; mkfifo pack/x.idx; ln -s /proc ff; cd $OLDPWD",
        "echo 0123456789012345678901234567890123456789 > $(git rev-parse --git-dir)/HEAD",
    ],
)
async def test_a_wrecked_repository_costs_its_own_commits_alone(
    root: Path, forge: Forge, workspaces: Workspaces, wreck: str
) -> None:
    workspace = await workspaces.prepare(request_for(forge))
    inside = Inside(root, SandboxSettings(mode="bubblewrap"))
    await inside.shell(workspace, f"echo a > a.txt; git add a.txt; git commit -qm one; {wreck}; echo b > b.txt")
    await publish(workspaces, workspace)
    assert {"a.txt", "b.txt"} <= set(forge.files(BRANCH))
    forge.git("fsck", "--full", cwd=workspace.mirror)


_TRAP = """
mkdir -p {at}; cd {at}; git init -q; echo '* filter=evil' > .gitattributes
echo a > a.txt; git add .; git commit -qm nested
for key in filter.evil.clean filter.evil.smudge filter.evil.process core.fsmonitor core.sshCommand diff.external
do git config $key "touch {pwned}; cat"; done
git config core.hooksPath "$PWD/hooks"; cd "$OLDPWD"
"""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("how", ["", "git add sub 2>/dev/null", "git add sub 2>/dev/null; git commit -qm sub"])
async def test_a_repository_within_is_no_trap_for_our_git(
    root: Path, forge: Forge, workspaces: Workspaces, mode: str, how: str
) -> None:
    """Our git looks into submodules, and would run what their configuration names, outside of the walls."""
    workspace = await workspaces.prepare(request_for(forge))
    pwned = root.parent / "pwned"
    inside = Inside(root, SandboxSettings(mode=mode))  # type: ignore[arg-type] # a test's table
    trap = _TRAP.format(at="sub", pwned=pwned)
    ruse = "echo b > sub/a.txt; touch -d 2020-01-01 sub/a.txt; chmod 100 sub"
    await inside.shell(workspace, f"{trap}{how}\nrm -f {pwned}; {ruse}")
    assert not pwned.exists()
    await publish(workspaces, workspace)
    await workspaces.prepare(request_for(forge))
    # What a run that was cut off leaves in the worktree is no trap for the next one either.
    person(_TRAP.format(at="sub", pwned=pwned), workspace.path)
    pwned.unlink(missing_ok=True)
    (workspace.path / "sub" / "a.txt").write_text("c")
    await workspaces.prepare(request_for(forge))
    assert not pwned.exists()


@needs_bubblewrap
@pytest.mark.behaviour("RU-12")
@pytest.mark.parametrize("network", ["open", "none"])
async def test_network_is_what_the_setting_says(root: Path, forge: Forge, workspaces: Workspaces, network: str) -> None:
    workspace = await workspaces.prepare(request_for(forge))
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 2); print('through')"
        settings = SandboxSettings(mode="bubblewrap", network=network)  # type: ignore[arg-type] # a test's table
        _, said = await Inside(root, settings).python(workspace, code)
    assert ("through" in said) == (network == "open")


GREED = {
    "processes": (20, "for _ in range(40):\n  if not os.fork(): time.sleep(20)"),
    "memory_mb": (300, "for _ in range(4): os.fork()\nx = os.urandom(1 << 20) * 64"),
    "disk_mb": (50, "for n in range(9): open(str(n), 'wb').write(b'x' * (9 << 20))"),
}
"""What a run may have, and one that takes more."""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("limit", GREED)
async def test_a_run_that_takes_too_much_is_stopped(
    root: Path, forge: Forge, workspaces: Workspaces, mode: str, limit: str
) -> None:
    workspace = await workspaces.prepare(request_for(forge))
    allowed, code = GREED[limit]
    inside = Inside(root, SandboxSettings(mode=mode, **{limit: allowed}))  # type: ignore[arg-type] # a test's table
    ended, _ = await inside.python(workspace, f"import os, time\n{code}\ntime.sleep(20)")
    assert (ended.stop, inside.switch.reason) == (Stop.LIMIT, Stop.LIMIT)
    assert f"{allowed} are allowed" in inside.switch.why
    assert ended.duration_s < 8


async def test_who_removes_its_own_worktree_is_watched_all_the_same(
    root: Path, forge: Forge, workspaces: Workspaces
) -> None:
    workspace = await workspaces.prepare(request_for(forge))
    inside = Inside(root, SandboxSettings(mode="none", processes=20, disk_mb=50))
    greedy = "time.sleep(1)\nfor _ in range(40):\n  if not os.fork(): time.sleep(20)"
    flight = f"import os, shutil, time\nos.chdir('/')\nshutil.rmtree({str(workspace.path)!r})"
    with pytest.raises(OSError, match="No such file"):  # the worktree cannot be cleared up, which fails the run
        await inside.python(workspace, f"{flight}\n{greedy}\ntime.sleep(20)")
    assert inside.switch.reason is Stop.LIMIT


@pytest.mark.parametrize("mode", MODES)
async def test_a_program_that_is_not_there_is_a_launch_error(
    root: Path, forge: Forge, workspaces: Workspaces, mode: str
) -> None:
    workspace = await workspaces.prepare(request_for(forge))
    inside = Inside(root, SandboxSettings(mode=mode))  # type: ignore[arg-type] # a test's table
    ended, _ = await inside.run(workspace, "/nowhere/agent")
    assert ended.code is None
    assert "/nowhere/agent" in ended.launch_error
    assert not list((root / "rooms").iterdir())


@needs_bubblewrap
@pytest.mark.behaviour("RU-5")
async def test_stop_signals_reach_the_agent_within(root: Path, forge: Forge, workspaces: Workspaces) -> None:
    """Its own gentle signal first, not the sandbox's death."""
    workspace = await workspaces.prepare(request_for(forge))
    inside = Inside(root, SandboxSettings(mode="bubblewrap", processes=8))
    code = """
import os, signal, sys, time
signal.signal(signal.SIGINT, lambda *_: (print('last word', flush=True), sys.exit(7)))
for _ in range(20):
    if not os.fork(): signal.signal(signal.SIGINT, signal.SIG_DFL); time.sleep(20)
while True: time.sleep(1)
"""
    ended, said = await inside.python(workspace, code)
    assert (ended.code, ended.stop, said) == (7, Stop.LIMIT, "last word\n")


def test_settings_that_cannot_work_are_refused(root: Path) -> None:
    for wrong in (
        SandboxSettings(memory_mb=-1),
        SandboxSettings(network="hosts"),
        SandboxSettings(mode="none", network="none"),
        SandboxSettings(readable=("relative",)),
        SandboxSettings(writable=("/",)),
    ):
        with pytest.raises(SettingsError, match=r"runner\.sandbox\."):
            check(wrong)
    missing = Ability(why_not="bubblewrap is not installed: install it")
    for wrong in (SandboxSettings(mode="bubblewrap"), SandboxSettings(network="none")):
        with pytest.raises(SettingsError, match="not installed"):
            Sandbox(wrong, missing, plain_git(), Hideout(root=root))
    Sandbox(SandboxSettings(), missing, plain_git(), Hideout(root=root)).announce()
