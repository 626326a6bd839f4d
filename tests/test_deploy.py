"""The manifest for Kubernetes says what its security rests on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
DOCUMENTS = list(yaml.safe_load_all((ROOT / "deploy" / "cluster.yaml").read_text(encoding="utf-8")))
CLUSTER = next(found for found in DOCUMENTS if found["kind"] == "RayCluster")["spec"]
HEAD, WORKERS = CLUSTER["headGroupSpec"], CLUSTER["workerGroupSpecs"][0]
OWN = {"podSelector": {"matchLabels": {"ray.io/cluster": "programs"}}}


@pytest.mark.parametrize("group", [HEAD, WORKERS], ids=["head", "workers"])
def test_a_pod_has_no_rights(group: dict[str, Any]) -> None:
    """No root, no capabilities, no service account, a read-only file tree, a bounded disk and memory."""
    pod = group["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory", "ephemeral-storage"} <= container["resources"]["limits"].keys()
    assert [set(volume) for volume in pod["volumes"]] == [{"name", "emptyDir"}]
    assert "sizeLimit" in pod["volumes"][0]["emptyDir"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()


def test_programs_run_where_the_kernel_is_not_the_nodes() -> None:
    """The head runs none; a worker has an actor for each of its cores."""
    assert HEAD["rayStartParams"]["num-cpus"] == "0"
    pod = WORKERS["template"]["spec"]
    assert pod["runtimeClassName"] == "kata"
    assert WORKERS["rayStartParams"]["num-cpus"] == pod["containers"][0]["resources"]["limits"]["cpu"]


@pytest.mark.parametrize(("group", "port"), [(HEAD, 6379), (WORKERS, 6380)], ids=["head", "workers"])
def test_probes_ask_what_bare_ray_answers(group: dict[str, Any], port: int) -> None:
    """KubeRay puts its own where there are none, and those ask a server that is not in the image."""
    (container,) = group["template"]["spec"]["containers"]
    assert [container[name]["tcpSocket"]["port"] for name in ("readinessProbe", "livenessProbe")] == [port, port]
    assert group["rayStartParams"].get("node-manager-port", "6379") == str(port)


def test_the_network_is_closed_but_for_the_cluster_itself() -> None:
    """All is denied in the namespace; the cluster's pods reach one another and the names, nobody else."""
    nothing, own = (found["spec"] for found in DOCUMENTS if found["kind"] == "NetworkPolicy")
    assert nothing == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert own["podSelector"] == OWN["podSelector"]
    assert own["ingress"] == [{"from": [OWN]}]
    inside, names = own["egress"]
    assert inside == {"to": [OWN]}
    assert {port["port"] for port in names["ports"]} == {53}
    assert CLUSTER["authOptions"] == {"mode": "token"}


def test_one_version_of_ray() -> None:
    """What the manifest names is what the lock file installs in the image."""
    lock = (ROOT / "requirements-ray.lock").read_text(encoding="utf-8")
    assert f"ray=={CLUSTER['rayVersion']}\n" in lock
