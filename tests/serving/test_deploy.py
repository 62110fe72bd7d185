"""Deployment files: what the stock server, Kubernetes, Prometheus and Grafana would read."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import serving
from serving.batching import BatchingOptions
from serving.metrics import COUNTERS, HISTOGRAMS
from serving.stock_files import read_batching_parameters, read_models, read_monitoring

DEPLOY = Path(serving.__file__).parent / "deploy"
# Flags of tensorflow_model_server 2.20 that the files use; an unknown one ends its start.
FLAGS = {
    "--allow_version_labels_for_unavailable_models",
    "--batching_parameters_file",
    "--enable_batching",
    "--enable_grpc_healthcheck_service",
    "--model_config_file",
    "--model_config_file_poll_wait_seconds",
    "--monitoring_config_file",
    "--port",
    "--rest_api_port",
}
KUBERNETES_VERSION = "1.31"


def documents(text: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(text) if document]


def manifests() -> list[dict[str, Any]]:
    """All manifests, rendered by kustomize where kubectl is there, as written otherwise."""
    if shutil.which("kubectl"):
        done = subprocess.run(
            ["kubectl", "kustomize", str(DEPLOY)], capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return documents(done.stdout)
    files = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    return [document for file in files for document in documents(file.read_text())]


def kind(name: str) -> dict[str, Any]:
    (found,) = [document for document in manifests() if document["kind"] == name]
    return found


def test_the_stock_configuration_files_are_read() -> None:
    (model,) = read_models(DEPLOY / "models.config").config
    assert (model.name, model.base_path) == ("recommender", "/models/recommender")
    options = BatchingOptions.of(read_batching_parameters(DEPLOY / "batching.config"))
    assert options.allowed_batch_sizes[-1] == options.max_batch_size == 32
    # Padding would repeat a history's first item.
    assert not options.pad_variable_length_inputs
    assert read_monitoring(DEPLOY / "monitoring.config").prometheus_config.enable


def test_every_manifest_is_valid_kubernetes() -> None:
    validate = pytest.importorskip("kubernetes_validate")
    kinds = []
    for document in manifests():
        validate.validate(document, KUBERNETES_VERSION, strict=True)
        kinds.append(document["kind"])
    assert {"Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Service"} <= set(kinds)


def test_a_wrong_manifest_is_found() -> None:
    validate = pytest.importorskip("kubernetes_validate")
    deployment = kind("Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(validate.ValidationError):
        validate.validate(deployment, KUBERNETES_VERSION, strict=True)


def pod() -> dict[str, Any]:
    spec: dict[str, Any] = kind("Deployment")["spec"]["template"]["spec"]
    return spec


def test_selectors_find_the_pods_and_nothing_else_is_selected() -> None:
    labels = kind("Deployment")["spec"]["template"]["metadata"]["labels"]
    for selector in (
        kind("Deployment")["spec"]["selector"]["matchLabels"],
        kind("Service")["spec"]["selector"],
        kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        kind("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
    client = kind("NetworkPolicy")["spec"]["ingress"][0]["from"][0]["podSelector"]
    assert client == {"matchLabels": {"tfrec/client": "true"}}


def test_ports_probes_mounts_and_flags_agree() -> None:
    (container,) = pod()["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    flags = dict(flag.partition("=")[::2] for flag in container["args"])
    assert set(flags) <= FLAGS
    assert ports == {"grpc": int(flags["--port"]), "rest": int(flags["--rest_api_port"])}
    for name in ("startupProbe", "livenessProbe"):
        assert container[name]["grpc"]["port"] == ports["grpc"]
    (model,) = read_models(DEPLOY / "models.config").config
    path = f"/v1/models/{model.name}/metadata"
    assert container["readinessProbe"]["httpGet"] == {"path": path, "port": "rest"}
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert mounts["/models"]["readOnly"] and model.base_path.startswith("/models/")
    for flag in ("--model_config_file", "--batching_parameters_file", "--monitoring_config_file"):
        file = Path(flags[flag])
        assert str(file.parent) in mounts
        assert (DEPLOY / file.name).exists()
    # A pod that ends has time for its last requests.
    sleep = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod()["terminationGracePeriodSeconds"] > sleep + 20


def test_pods_run_without_rights() -> None:
    assert pod()["securityContext"]["runAsNonRoot"]
    assert not pod()["automountServiceAccountToken"]
    (container,) = pod()["containers"]
    context = container["securityContext"]
    assert context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"]
    assert context["capabilities"] == {"drop": ["ALL"]}


def test_an_update_never_lowers_the_number_of_replicas() -> None:
    strategy = kind("Deployment")["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxUnavailable": 0, "maxSurge": 1}
    assert kind("HorizontalPodAutoscaler")["spec"]["minReplicas"] >= 2
    assert "replicas" not in kind("Deployment")["spec"]


def test_compose_mounts_what_its_flags_name() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert set(compose) == {"name", "services", "volumes"}
    service = compose["services"]["serving"]
    flags = dict(flag.partition("=")[::2] for flag in service["command"])
    assert set(flags) <= FLAGS
    targets = {}
    for name, entry in compose["services"].items():
        for volume in entry["volumes"]:
            source, target, *mode = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", volume).split(":")
            targets[name, target] = source
            if source.startswith("./") and source != "./models":
                assert (DEPLOY / source).exists(), source
                assert mode == ["ro"]
    for flag, value in flags.items():
        if flag.endswith("_file"):
            assert ("serving", value) in targets
    assert "127.0.0.1:8500:8500" in service["ports"]
    assert all(
        port.startswith("127.0.0.1:")
        for entry in compose["services"].values()
        for port in entry["ports"]
    )
    assert set(compose["volumes"]) == {
        s for s in targets.values() if "/" not in s and not s.startswith(".")
    }
    (job,) = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"]
    assert job["static_configs"][0]["targets"] == [f"serving:{flags['--rest_api_port']}"]
    path = read_monitoring(DEPLOY / "monitoring.config").prometheus_config.path
    assert job["metrics_path"] == path


def queries() -> list[str]:
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "tfserving.json").read_text())
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    found += [entry["query"] for entry in dashboard["templating"]["list"]]
    groups = yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"]
    return found + [rule["expr"] for group in groups for rule in group["rules"]]


@pytest.mark.parametrize("query", queries())
def test_queries_name_metrics_and_labels_that_exist(query: str) -> None:
    known = {name.replace("/", ":"): set(labels) for name, labels in COUNTERS.items()}
    for name, (labels, _) in HISTOGRAMS.items():
        for suffix in ("_bucket", "_sum", "_count"):
            known[name.replace("/", ":") + suffix] = {*labels, "le"}
    known["up"] = {"job", "instance"}
    names = re.findall(r"(:[\w:]+|\bup\b)(?:\{([^}]*)\})?", query)
    assert names
    for name, selector in names:
        assert name in known
        assert set(re.findall(r"(\w+)\s*(?:=~|!=|=)", selector)) <= known[name]
    assert query.count("(") == query.count(")")


def test_the_dashboard_has_a_source_and_room_for_each_panel() -> None:
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "tfserving.json").read_text())
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())[
        "datasources"
    ]
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {source["uid"]}
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
