"""Machines that are namespaces: an operator's with a switch, and nodes on its private subnet.

Each machine has its own network, processes, mounts and name, its own home folder of root,
its own /tmp, /proc and /dev/shm, and an sshd on port 22 as its first process. The switch
stands in the operator's namespace: nothing is made in the network of this machine, and
what is made ends with the first processes, which the kernel kills if this process dies.
"""

import contextlib
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).parents[3]
TOOLS = ("sshd", "ssh", "ssh-keygen", "rsync", "ip", "unshare", "nsenter", "setpriv")
NAMESPACES = ("--net", "--pid", "--mount", "--uts", "--ipc")
SUBNET = "10.213.0"
SWITCH = "switch"
SHARED = "/mnt/study"
HOME = Path(pwd.getpwuid(0).pw_dir)
"""Home folder of the one user of every machine."""
COVERED = (str(HOME.relative_to("/")), "tmp")
PACKAGES = ("study", "models", "search_spaces")
KEY = str(HOME / ".ssh/id_ed25519")
TOKEN = str(HOME / ".ray/auth_token")
ILLNESS = str(HOME / "illness")
"""A file that names the illness of the node that has it; see `tests.gate`."""
PATIENCE_SECONDS = 30.0
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SHADOW = "root:*:19000:0:99999:7:::\n"
SSHD = """
HostKey /run/host_key
AuthorizedKeysFile /run/authorized_keys
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
PidFile none
"""


def missing() -> str:
    """Return why there can be no machines here; nothing if there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "namespaces with a network of their own need root on Linux"
    absent = [tool for tool in TOOLS if not _tool(tool)]
    if absent:
        return f"not installed: {', '.join(absent)} (openssh-server, rsync, iproute2, util-linux)"
    tried = subprocess.run(
        ["unshare", *NAMESPACES, "--fork", "--mount-proc", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if tried.returncode == 0 else f"no namespaces: {tried.stderr.strip()}"


def _tool(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


class Machine:
    """One machine. Its home folder and /tmp are on a disk that outlives it."""

    def __init__(self, name: str, number: int, lab: "Lab") -> None:
        self.name = name
        self.number = number
        self.address = f"{SUBNET}.{number}"
        self.card = f"02:00:00:00:00:{number:02x}"
        self._lab = lab
        self._disk = lab.folder / name
        self._unshare: subprocess.Popen[bytes] | None = None
        self.pid = 0
        self._namespace: Path | None = None

    def on_disk(self, path: Path | str) -> Path:
        """Return where a file of the machine's home folder or /tmp is on this one."""
        return self._disk / Path(path).relative_to("/")

    def boot(self) -> None:
        """Start the machine, and its sshd."""
        for place in COVERED:
            (self._disk / place).mkdir(parents=True, exist_ok=True)
        (self._disk / "tmp").chmod(0o1777)
        home = self.on_disk(HOME)
        path = f"{sys.prefix}/bin:{SYSTEM_PATH}"
        for profile in (".bashrc", ".bash_profile"):
            (home / profile).write_text(f"export PATH={shlex.quote(path)}\n")
        script = self._disk / "boot"
        script.write_text("\n".join(self._boot_commands()) + "\n")
        with (self._disk / "log").open("ab") as log:
            self._unshare = subprocess.Popen(
                [
                    # Neither outlives the one that started it.
                    *("setpriv", "--pdeathsig", "KILL"),
                    *(
                        "unshare",
                        *NAMESPACES,
                        "--fork",
                        "--kill-child",
                        "--mount-proc",
                        "bash",
                        script,
                    ),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"HOME": str(HOME), "PATH": path, "LANG": "C.UTF-8"},
                cwd="/",
                start_new_session=True,
            )
        children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children")
        self._wait(lambda: bool(children.read_text().split()), "has no first process")
        self.pid = int(children.read_text().split()[0])
        self._namespace = Path(f"/proc/{self.pid}/ns/pid").readlink()
        self._wait(lambda: self._comm() == "sshd", "has no sshd")

    def _boot_commands(self) -> list[str]:
        disk, lab = self._disk, self._lab.folder
        commands = ["set -eu", f"hostname {self.name}", "ip link set lo up"]
        for place in ("/dev/shm", "/run", "/mnt"):
            commands.append(f"mount -t tmpfs none {place}")
        commands.append(f"mkdir /run/sshd {SHARED}")
        commands.append(f"cp {lab}/host_key {lab}/authorized_keys {lab}/sshd_config /run")
        commands.append("chmod 600 /run/host_key")
        for file in ("hosts", "shadow"):
            commands.append(f"mount --bind {lab}/{file} /etc/{file}")
        commands.append(f"mount --bind {lab}/shared {SHARED}")
        if self is not self._lab.operator:
            # Nodes see the packages that were shipped to them, and no others.
            commands += [f"mount -t tmpfs none {PROJECT / package}" for package in PACKAGES]
        kept = {Path(sys.prefix), Path(sys.base_prefix), PROJECT}
        for place in COVERED:
            for path in sorted(kept):
                if path.is_relative_to(f"/{place}"):
                    new = disk / path.relative_to("/")
                    commands += [f"mkdir -p {new}", f"mount --rbind {path} {new}"]
        # One of these may hide the folder that the disks are in: that one comes last.
        hides = sorted(COVERED, key=lambda place: disk.is_relative_to(f"/{place}"))
        commands += [f"mount --rbind {disk / place} /{place}" for place in hides]
        commands += ["cd /", f"exec {_tool('sshd')} -D -e -f /run/sshd_config"]
        return commands

    def run(
        self, *command: str, patience_seconds: float = 600.0, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command here, whatever it ends with; output and errors come as one."""
        return subprocess.run(
            self.inside(*command, **environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=patience_seconds,
            check=False,
        )

    def inside(self, *command: str, **environment: str) -> list[str]:
        """Return the command that runs `command` here, as a login would."""
        variables = [f"{name}={value}" for name, value in environment.items()]
        return [
            *("nsenter", "--target", str(self.pid), *NAMESPACES),
            *("env", "-i", f"HOME={HOME}", "TERM=dumb", "LANG=C.UTF-8", *variables),
            *("bash", "-c", 'cd; . ~/.bash_profile; exec "$@"', "bash", *command),
        ]

    def processes(self) -> dict[int, str]:
        """Return ids, as this machine counts, and commands of what runs there or was left."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (entry / "ns/pid").readlink() == self._namespace:
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(entry.name)] = command.decode(errors="replace").strip()
        return {pid: command for pid, command in found.items() if command}

    def of_ray(self) -> dict[int, str]:
        """Return the processes of Ray's, or of a study's, that live here."""
        names = ("ray", "gcs_server", "study.run")
        return {
            pid: command
            for pid, command in self.processes().items()
            if any(name in command for name in names) and "/ray_ssh_" not in command
        }

    def pull_plug(self) -> None:
        """End all that runs here at once."""
        if self._unshare is None:
            return
        own = self._unshare
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid or own.pid, signal.SIGKILL)
        try:
            own.wait(PATIENCE_SECONDS)
        finally:
            own.kill()
            own.wait()
            self._unshare, self.pid = None, 0

    def _comm(self) -> str:
        with contextlib.suppress(OSError):
            return Path(f"/proc/{self.pid}/comm").read_text().strip()
        return ""

    def _wait(self, happened, otherwise: str) -> None:
        assert self._unshare is not None
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not happened():
            if self._unshare.poll() is not None or time.monotonic() > deadline:
                log = (self._disk / "log").read_text()[-500:]
                raise RuntimeError(f"{self.name} {otherwise}: {log}")
            time.sleep(0.02)


class Lab:
    """An operator's machine, and nodes that it reaches by ssh, all in one folder."""

    def __init__(self, folder: Path, nodes: tuple[str, ...]) -> None:
        self.folder = folder
        self.shared = folder / "shared"
        self.operator = Machine("operator", 1, self)
        self.nodes = [Machine(name, 10 + place, self) for place, name in enumerate(nodes)]

    def __enter__(self) -> "Lab":
        try:
            self._furnish()
            self.operator.boot()
            self._in_net("ip", "link", "add", SWITCH, "type", "bridge")
            self._in_net("ip", "address", "add", f"{self.operator.address}/24", "dev", SWITCH)
            self._in_net("ip", "link", "set", SWITCH, "up")
            for node in self.nodes:
                self.boot(node)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for machine in (*self.nodes, self.operator):
            machine.pull_plug()

    def boot(self, node: Machine) -> None:
        """Start a node and join it to the switch."""
        port = f"port{node.number}"
        with contextlib.suppress(subprocess.CalledProcessError):
            # The kernel takes its time with what a machine without power leaves.
            self._in_net("ip", "link", "delete", port)
        node.boot()
        self._in_net(
            *("ip", "link", "add", port, "type", "veth"),
            *("peer", "name", "eth0", "address", node.card, "netns", str(node.pid)),
        )
        self._in_net("ip", "link", "set", port, "master", SWITCH, "up")
        for arguments in (
            ("address", "add", f"{node.address}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
            ("route", "add", "default", "via", self.operator.address),
        ):
            done = node.run("ip", *arguments)
            if done.returncode:
                raise RuntimeError(f"{node.name}: ip {' '.join(arguments)}: {done.stdout}")
        # Else whoever asked for the address while the node was off is still waiting to give up.
        self._in_net("ip", "neighbour", "flush", "to", node.address, "dev", SWITCH)

    def _furnish(self) -> None:
        self.shared.mkdir(parents=True)
        home = self.operator.on_disk(Path(KEY).parent)
        home.mkdir(parents=True, mode=0o700)
        for key in (self.folder / "host_key", self.operator.on_disk(KEY)):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key], check=True
            )
        public = self.operator.on_disk(KEY).with_suffix(".pub")
        shutil.copy(public, self.folder / "authorized_keys")
        machines = (self.operator, *self.nodes)
        hosts = "".join(f"{machine.address} {machine.name}\n" for machine in machines)
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost\n{hosts}")
        (self.folder / "shadow").write_text(SHADOW)
        (self.folder / "shadow").chmod(0o600)
        (self.folder / "sshd_config").write_text(SSHD)

    def _in_net(self, *command: str) -> None:
        """Run a command in the operator's network, with this machine's files."""
        target = ("--target", str(self.operator.pid), "--net")
        subprocess.run(["nsenter", *target, *command], check=True, capture_output=True, text=True)
