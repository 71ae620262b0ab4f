"""The RayJob: KubeRay has what it requires, Ray's autoscaler reads it, nobody else gets in."""

import os
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import (
    _derive_autoscaling_config_from_ray_cr,
)

CLUSTERS = Path(__file__).parents[2] / "clusters"
LABEL = "app.kubernetes.io/name"
REQUIRED = {  # what KubeRay's schema requires, and Ray's autoscaler
    "spec": ["entrypoint", "rayClusterSpec"],
    "spec.rayClusterSpec": ["headGroupSpec", "workerGroupSpecs", "rayVersion"],
    "spec.rayClusterSpec.headGroupSpec": ["template"],
    "spec.rayClusterSpec.workerGroupSpecs": ["groupName", "minReplicas", "maxReplicas", "template"],
}


@pytest.fixture
def documents():
    return list(yaml.safe_load_all((CLUSTERS / "kuberay.yaml").read_text()))


@pytest.fixture
def job(documents):
    return of_kind(documents, "RayJob")


def of_kind(documents, kind):
    return next((each for each in documents if each["kind"] == kind), None)


def groups(job):
    spec = job["spec"]["rayClusterSpec"]
    return [spec["headGroupSpec"], *spec["workerGroupSpecs"]]


def test_it_has_what_kuberay_requires(job):
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    for path, keys in REQUIRED.items():
        value = job
        for part in path.split("."):
            value = value[part]
        for each in value if isinstance(value, list) else [value]:
            assert not set(keys) - set(each), path
    for group in groups(job):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        for container in group["template"]["spec"]["containers"]:
            assert container["name"]
            assert container["image"]


def test_rays_autoscaler_reads_workers_that_come_from_none(job):
    """Ray's own reading of the cluster; it validates what it makes of it."""
    cluster = {
        "metadata": {"name": "study-x", "namespace": "study"},
        "spec": job["spec"]["rayClusterSpec"],
    }
    config = _derive_autoscaling_config_from_ray_cr(cluster)
    types = config["available_node_types"]
    head = types.pop(config["head_node_type"])
    assert head["resources"]["CPU"] == 0
    (worker,) = types.values()
    assert worker["min_workers"] == 0 < worker["max_workers"]
    assert (worker["resources"]["CPU"], worker["resources"]["GPU"]) == (8, 1)


def test_the_entrypoint_is_a_study_with_its_results_on_a_volume_of_all_nodes(documents, job):
    words = shlex.split(job["spec"]["entrypoint"])
    assert words[:3] == ["python", "-m", "study.run"]
    assert words[words.index("--address") + 1] == "auto"
    claim = of_kind(documents, "PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    for group in groups(job):
        spec = group["template"]["spec"]
        (volume,) = spec["volumes"]
        assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        (mount,) = spec["containers"][0]["volumeMounts"]
        assert mount["name"] == volume["name"]
        for option in ("--output", "--data"):
            folder = words[words.index(option) + 1]
            assert os.path.commonpath([folder, mount["mountPath"]]) == mount["mountPath"]


def test_the_images_ray_is_the_one_that_is_pinned(job):
    pinned = (CLUSTERS.parent / "constraints.txt").read_text()
    version = job["spec"]["rayClusterSpec"]["rayVersion"]
    assert f"\nray=={version}\n" in pinned
    text = (CLUSTERS / "Dockerfile").read_text()
    assert f"FROM rayproject/ray:{version}-py311-gpu\n" in text
    for group in groups(job):
        assert group["template"]["spec"]["containers"][0]["image"].endswith(f":{version}")


def test_the_image_installs_all_of_the_project_with_the_constrained_versions():
    text = (CLUSTERS / "Dockerfile").read_text()
    assert "-c /home/ray/study/constraints.txt /home/ray/study" in text
    assert "assert torch.version.cuda" in text
    copied = " ".join(re.findall(r"^COPY --chown=ray:users (.*) \S+$", text, re.MULTILINE)).split()
    project = tomllib.loads((CLUSTERS.parent / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(copied) == {"pyproject.toml", "constraints.txt", "README.md", *packages}


def openings(documents):
    """Return what lets strangers in, a line each."""
    problems = []
    job, policy = of_kind(documents, "RayJob"), of_kind(documents, "NetworkPolicy")
    cluster = job["spec"]["rayClusterSpec"]
    auth = cluster.get("authOptions", {})
    if auth.get("mode") != "token" or not auth.get("secretName"):
        problems.append("Ray starts without a token of yours")
    if of_kind(documents, "Secret"):
        problems.append("the token stands in the file")
    for kind in ("Service", "Ingress", "Route", "Gateway"):
        if of_kind(documents, kind):
            problems.append(f"a {kind} of its own")
    if cluster["headGroupSpec"].get("serviceType") != "ClusterIP":
        problems.append("the head's service reaches beyond the cluster")
    if cluster["headGroupSpec"].get("enableIngress"):
        problems.append("an ingress to the head")
    if policy is None:
        return [*problems, "no NetworkPolicy"]
    if "Ingress" not in policy["spec"].get("policyTypes", ()):
        problems.append("the policy is not one for what comes in")
    selected = policy["spec"]["podSelector"].get("matchLabels", {})
    for group in groups(job):
        template = group["template"]
        if not selected.items() <= template["metadata"]["labels"].items():
            problems.append("the policy leaves out a pod")
        if template["spec"].get("hostNetwork"):
            problems.append("a pod is on the network of its host, where no policy holds")
        for container in template["spec"]["containers"]:
            if any("hostPort" in port for port in container.get("ports", ())):
                problems.append("a port of the host")
            if container.get("securityContext", {}).get("allowPrivilegeEscalation", True):
                problems.append("a process may get more rights")
    for rule in policy["spec"].get("ingress", ()):
        if not rule.get("from"):
            problems.append("a rule for all")
        for peer in rule.get("from", ()):
            labels = (peer.get("podSelector") or peer.get("namespaceSelector") or {}).get(
                "matchLabels"
            )
            if not labels or "ipBlock" in peer:
                problems.append("a rule for all of something")
            elif "namespaceSelector" in peer and [p["port"] for p in rule.get("ports", ())] != [
                8265
            ]:
                problems.append("another namespace reaches more than the dashboard")
    return problems


def test_only_the_studys_pods_and_the_operator_get_in_with_the_token(documents):
    assert openings(documents) == []


def spec(documents):
    return of_kind(documents, "RayJob")["spec"]["rayClusterSpec"]


def head_container(documents):
    return spec(documents)["headGroupSpec"]["template"]["spec"]["containers"][0]


def policy(documents):
    return of_kind(documents, "NetworkPolicy")["spec"]


SPOILT = {
    "no token": lambda d: spec(d).pop("authOptions"),
    "token is off": lambda d: spec(d)["authOptions"].update(mode="disabled"),
    "no secret of yours": lambda d: spec(d)["authOptions"].pop("secretName"),
    "token in the file": lambda d: d.append({"kind": "Secret", "data": {"auth_token": "eA=="}}),
    "load balancer": lambda d: spec(d)["headGroupSpec"].update(serviceType="LoadBalancer"),
    "node port": lambda d: spec(d)["headGroupSpec"].update(serviceType="NodePort"),
    "ingress": lambda d: spec(d)["headGroupSpec"].update(enableIngress=True),
    "service": lambda d: d.append({"kind": "Service", "spec": {"type": "LoadBalancer"}}),
    "no policy": lambda d: d.remove(of_kind(d, "NetworkPolicy")),
    "policy for what goes out": lambda d: policy(d).update(policyTypes=["Egress"]),
    "policy for other pods": lambda d: policy(d)["podSelector"].update(matchLabels={LABEL: "x"}),
    "worker without the label": lambda d: spec(d)["workerGroupSpecs"][0]["template"][
        "metadata"
    ].update(labels={}),
    "rule for all": lambda d: policy(d)["ingress"].append({}),
    "rule for all namespaces": lambda d: policy(d)["ingress"].append(
        {"from": [{"namespaceSelector": {}}]}
    ),
    "rule for all addresses": lambda d: policy(d)["ingress"].append(
        {"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}
    ),
    "operator reaches all ports": lambda d: policy(d)["ingress"][1].pop("ports"),
    "host network": lambda d: spec(d)["headGroupSpec"]["template"]["spec"].update(hostNetwork=True),
    "host port": lambda d: head_container(d)["ports"][1].update(hostPort=8265),
    "more rights": lambda d: head_container(d).pop("securityContext"),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_what_would_let_strangers_in_is_seen(spoil, documents):
    spoil(documents)
    assert openings(documents)
