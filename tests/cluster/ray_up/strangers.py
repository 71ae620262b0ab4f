"""What the endpoints of a cluster answer to those who have no token, or a wrong one."""

from collections.abc import Callable

from tests.cluster.ray_up.machines import TOKEN, Lab, Machine

WRONG = "0" * 64
UNKNOWN, FORBIDDEN = "401", "403"
DASHBOARD_PORT = 8265
REFUSALS = ("UNAUTHENTICATED", "PERMISSION_DENIED")
COUNTERS = "counters"
"""Numbers in Prometheus' form, which Ray tells everybody: they run nothing."""
SILENT = "no HTTP"
ASKED = (("GET", "/api/jobs/"), ("POST", "/api/jobs/"), ("GET", "/nodes?view=summary"))
ASK = """
import sys, urllib.error, urllib.request
url, how, token = sys.argv[1:]
headers = {"Authorization": "Bearer " + token} if token else {}
data = b"{}" if how == "POST" else None
request = urllib.request.Request(url, data, headers, method=how)
try:
    with urllib.request.urlopen(request, timeout=10) as answer:
        counts = answer.read(6) == b"# HELP" and answer.headers.get_content_type() == "text/plain"
        print("counters" if counts else answer.status)
except urllib.error.HTTPError as error:
    print(error.code)
except Exception:
    print("no HTTP")
"""
CALL = """
import sys, grpc
from ray.core.generated.ray_client_pb2 import ClusterInfoRequest, ClusterInfoType
from ray.core.generated.ray_client_pb2_grpc import RayletDriverStub
address, token = sys.argv[1:]
metadata = [("client_id", "stranger")] + ([("authorization", "Bearer " + token)] if token else [])
request = ClusterInfoRequest(type=ClusterInfoType.PING)
try:
    stub = RayletDriverStub(grpc.insecure_channel(address))
    stub.ClusterInfo(request, metadata=metadata, timeout=20)
    print("OK")
except grpc.RpcError as error:
    print(error.code().name)
"""


def openings(lab: Lab, note: Callable[[str], None]) -> list[str]:
    """Return what lets strangers in, a line each; `note` hears all that was tried."""
    head, operator = lab.nodes[0], lab.operator
    token = operator.on_disk(TOKEN).read_text().strip()
    found = []
    for how, path in ASKED:
        for what, given, refusal in (
            ("no token", "", UNKNOWN),
            ("a wrong token", WRONG, FORBIDDEN),
        ):
            answer = _ask(head, f"http://127.0.0.1:{DASHBOARD_PORT}{path}", how, given)
            note(f"dashboard, {how} {path} with {what}: {answer}")
            if answer not in (refusal, UNKNOWN):
                found.append(f"the dashboard answers {answer} to {how} {path} with {what}")
    for what, given in (("no token", ""), ("a wrong token", WRONG), ("the token", token)):
        mode = "token" if given else "disabled"
        command = ("ray", "status", "--address", f"{head.address}:6379")
        done = operator.run(*command, RAY_AUTH_MODE=mode, RAY_AUTH_TOKEN=given)
        note(f"ray status with {what}: exit {done.returncode}")
        if (done.returncode == 0) != (given == token):
            found.append(f"ray status with {what}: {done.stdout[-500:]}")
        code = operator.run("python", "-c", CALL, f"{head.address}:10001", given).stdout.strip()
        note(f"port of Ray's client with {what}: {code}")
        if (code in REFUSALS) != (given != token):
            found.append(f"the port of Ray's client says {code} with {what}")
    for node in lab.nodes:
        for port, process in sorted(listeners(node).items()):
            answer = _ask(operator, f"http://{node.address}:{port}/", "GET", "")
            note(f"{node.name}:{port} ({process}): {answer}")
            if answer not in (UNKNOWN, COUNTERS, SILENT):
                found.append(f"{node.name}:{port} ({process}) answers {answer} without a token")
    return found


def _ask(machine: Machine, url: str, how: str, token: str) -> str:
    return machine.run("python", "-c", ASK, url, how, token).stdout.strip()


def listeners(node: Machine) -> dict[int, str]:
    """Return the ports, and their processes, that a node listens on beyond loopback and ssh."""
    found = {}
    for line in node.run("ss", "-Hltnp").stdout.splitlines():
        _, _, _, local, _, *process = line.split()
        address, _, port = local.rpartition(":")
        if not address.strip("[]").startswith(("127.", "::1", "::ffff:127.")) and port != "22":
            found[int(port)] = "".join(process).partition('"')[2].partition('"')[0]
    return found
