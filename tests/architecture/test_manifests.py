"""The Kubernetes manifests: valid for Kubernetes as it is today, and strict with our own pods. Needs no cluster.

What kustomize would render is put together by `tests.rigs.kustomize`; where kubectl is installed, it has to agree.
"""

import copy
import re
import shutil
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate.utils as kubernetes
import pytest
import yaml
from msgspec import Struct

from conveyor.cli.setup.fields import SETTINGS
from conveyor.runner.settings import HOMECOMING_S
from conveyor.servicekit.lifecycle import ABORT_S, GRACE_S
from conveyor.servicekit.settings import load
from tests.architecture import repository
from tests.rigs.kustomize import Object, containers, pod, rendered

pytestmark = pytest.mark.behaviour("OP-9")
HOME = repository.ROOT / "deploy" / "kubernetes"
BASE, EXAMPLE, BUBBLEWRAP = HOME / "base", HOME / "overlays" / "example", HOME / "components" / "bubblewrap"
VERSIONS = tuple(dict.fromkeys(kubernetes.all_versions()))[-4:]
"""The versions that Kubernetes itself still mends, and the one before."""
CLOSING_S = 10.0
"""What a process may take beyond its grace to close connections."""


@cache
def objects(*folders: Path) -> list[Object]:
    """What is applied."""
    return rendered(*folders)


def named(name: str, *folders: Path) -> Object:
    """The one workload of this name."""
    (found,) = (one for one in objects(*folders or (BASE,)) if one["metadata"]["name"] == name and pod(one))
    return found


def workloads() -> list[Object]:
    """Everything in the example that makes pods."""
    return [one for one in objects(EXAMPLE) if pod(one)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("folders", [(BASE,), (EXAMPLE,), (EXAMPLE, BUBBLEWRAP)], ids=lambda one: one[-1].name)
def test_every_object_is_valid_for_kubernetes(folders: tuple[Path, ...], version: str) -> None:
    """Strictly: a field that this version does not know is refused as well."""
    faults = []
    for one in objects(*folders):
        try:
            kubernetes.validate(one, version, strict=True)
        except kubernetes.ValidationError as error:
            faults.append(f"{one['kind']} {one['metadata']['name']}: {'.'.join(map(str, error.path))}: {error.message}")
    repository.none(faults)


def test_a_misspelt_field_is_no_valid_object() -> None:
    """Strict means that: Kubernetes itself would take it and leave it out."""
    wrong = copy.deepcopy(named("gateway"))
    containers(wrong)[0]["readinessprobe"] = {}
    with pytest.raises(kubernetes.ValidationError, match="readinessprobe"):
        kubernetes.validate(wrong, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("folder", [BASE, EXAMPLE], ids=lambda folder: folder.name)
def test_kubectl_renders_what_is_checked_here(folder: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    told = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    text = re.sub(r"\b(conveyor-config|nats-config)-[a-z0-9]{10}\b", r"\1", told.stdout)
    assert by_name(list(yaml.safe_load_all(text))) == by_name(objects(folder))


def by_name(found: list[Object]) -> dict[tuple[str, str], Any]:
    """These objects, whatever their order and that of named things in them."""
    return {(one["kind"], one["metadata"]["name"]): ordered(one) for one in found}


def ordered(part: Any) -> Any:
    """This part with lists of named things in the order of their names."""
    if isinstance(part, dict):
        return {name: ordered(inner) for name, inner in part.items()}
    if not isinstance(part, list):
        return part
    inner = [ordered(one) for one in part]
    are_named = all(isinstance(one, dict) and {"name", "mountPath"} & set(one) for one in inner)
    return sorted(inner, key=lambda one: (one.get("name", ""), one.get("mountPath", ""))) if are_named else inner


@pytest.mark.parametrize("workload", workloads(), ids=lambda one: one["metadata"]["name"])
def test_every_pod_has_as_few_rights_as_it_can(workload: Object) -> None:
    spec = pod(workload)
    assert spec is not None
    assert spec["automountServiceAccountToken"] is False
    inside = spec["securityContext"]
    assert inside["runAsNonRoot"] is True
    assert {inside["runAsUser"], inside["runAsGroup"], inside["fsGroup"]} == {10001}
    assert inside["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    for container in containers(workload):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@pytest.mark.parametrize("workload", workloads(), ids=lambda one: one["metadata"]["name"])
def test_every_container_is_probed_limited_and_of_a_fixed_version(workload: Object) -> None:
    for container in containers(workload):
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
        assert {"cpu", "memory"} == set(container["resources"]["limits"]) == set(container["resources"]["requests"])
        assert re.search(r":v?\d+\.\d+\.\d+", container["image"]), container["image"]
        ports = {port["name"] for port in container["ports"]}
        probes = [part["httpGet"]["port"] for name, part in container.items() if name.endswith("Probe")]
        assert set(probes) <= ports


def test_the_gateway_takes_webhooks_while_nats_is_away_and_the_others_are_ready_with_it() -> None:
    """The spool accepts what the bus cannot take; a gateway nobody reaches would lose it."""
    ready = {name: containers(named(name))[0]["readinessProbe"]["httpGet"]["path"] for name in repository.SERVICES}
    assert ready == {"gateway": "/healthz", "stage-engine": "/readyz", "runner": "/readyz", "reconciler": "/readyz"}


@pytest.mark.parametrize("folder", [BASE, EXAMPLE], ids=lambda folder: folder.name)
def test_a_pod_may_take_as_long_to_end_as_its_service(folder: Path) -> None:
    runner = tomllib.loads(config(folder))["runner"]
    needed = dict.fromkeys(repository.SERVICES, GRACE_S + ABORT_S + CLOSING_S)
    needed["runner"] = runner["drain_s"] + HOMECOMING_S + ABORT_S + CLOSING_S
    for name, seconds in needed.items():
        spec, container = pod(named(name, folder)), containers(named(name, folder))[0]
        assert spec is not None
        waits = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert spec["terminationGracePeriodSeconds"] >= seconds + waits, name


def config(folder: Path) -> str:
    """The conveyor.toml that is applied."""
    (found,) = (one for one in objects(folder) if one["metadata"]["name"] == "conveyor-config")
    text: str = found["data"]["conveyor.toml"]
    return text


def kind_of(service: str) -> type[Struct]:
    """The Settings of a service."""
    module = f"conveyor.{service.replace('-', '_')}.settings"
    (found,) = (kind for kind in SETTINGS if kind.__module__ == module)
    return found


@pytest.mark.parametrize("folder", [BASE, EXAMPLE], ids=lambda folder: folder.name)
@pytest.mark.parametrize("service", repository.SERVICES)
def test_a_service_starts_with_the_configuration_and_the_secrets_of_its_pod(
    tmp_path: Path, folder: Path, service: str
) -> None:
    """Every file that a variable names is mounted, and what the pod sees is good for the service's Settings."""
    workload = named(service, folder)
    (container,) = containers(workload)
    mounted = secrets_in(workload)
    variables = {one["name"]: one.get("value", "from the pod") for one in container["env"]}
    for name, file in variables.items():
        if name.endswith("_FILE"):
            assert file in mounted, name
            here = tmp_path / Path(file).name
            here.write_text("text\n")
            variables[name] = str(here)
    (tmp_path / "conveyor.toml").write_text(config(folder))
    settings: Any = load(kind_of(service), tmp_path / "conveyor.toml", environment=variables)
    assert settings.nats.url == "nats://nats:4222"
    assert settings.nats.replicas == named("nats", folder)["spec"]["replicas"] == 3
    assert settings.gitea.token


def secrets_in(workload: Object) -> set[str]:
    """The path of every secret that a pod mounts; each is one of the example's."""
    (example,) = (one for one in objects(EXAMPLE) if one["metadata"]["name"] == "conveyor-secrets")
    spec = pod(workload)
    assert spec is not None
    volumes = {one["name"]: one["secret"] for one in spec["volumes"] if "secret" in one}
    found = set()
    for mount in containers(workload)[0]["volumeMounts"]:
        for item in volumes.get(mount["name"], {}).get("items", ()):
            assert item["key"] in example["stringData"], item
            found.add(f"{mount['mountPath']}/{item['path']}")
    return found


def test_only_who_needs_a_secret_has_it() -> None:
    """A webhook's secret is for who checks or registers webhooks; agents may read what their runner mounts."""
    holds = {name: {Path(path).name for path in secrets_in(named(name))} for name in repository.SERVICES}
    assert {name for name, secrets in holds.items() if "plane-webhook" in secrets} == {"gateway"}
    assert {name for name, secrets in holds.items() if "gitea-webhook" in secrets} == {"gateway", "reconciler"}


def test_whatever_selects_pods_selects_some() -> None:
    pods = [one["spec"]["template"]["metadata"]["labels"] for one in workloads()]
    for one in objects(EXAMPLE):
        spec = one.get("spec", {})
        selector = spec.get("podSelector") or spec.get("selector") or {}
        wanted = selector.get("matchLabels", {} if "matchExpressions" in selector else selector)
        assert any(wanted.items() <= labels.items() for labels in pods), one["metadata"]["name"]
        for service in [one] if one["kind"] == "Service" else []:
            ports = {port["name"] for port in containers(named(spec["selector"]["app.kubernetes.io/name"]))[0]["ports"]}
            assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_nobody_but_the_services_reaches_nats_and_everybody_reaches_the_gateway_alone() -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in objects(BASE) if one["kind"] == "NetworkPolicy"}
    assert policies["nobody"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    clients, servers = policies["nats"]["ingress"]
    assert [port["port"] for port in clients["ports"]] == [4222]
    assert clients["from"][0]["podSelector"]["matchExpressions"][0]["values"] == list(repository.SERVICES)
    assert [port["port"] for port in servers["ports"]] == [6222]
    from_anywhere = [name for name, spec in policies.items() for rule in spec.get("ingress", ()) if "from" not in rule]
    assert from_anywhere == ["gateway"]


def test_the_ingress_lets_webhooks_in_and_nothing_else() -> None:
    (ingress,) = (one for one in objects(EXAMPLE) if one["kind"] == "Ingress")
    paths = [(path["path"], path["pathType"]) for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]
    assert paths == [("/webhook/plane", "Exact"), ("/webhook/gitea", "Exact")]
