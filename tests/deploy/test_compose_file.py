"""docker-compose.yml: a valid Compose file in which nothing is open, unlimited, unwatched or secret by default."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from activities.contract import DELIVERIES_QUEUE, gateway_queue
from agreements.catalog import GATEWAYS
from cli.secrets import SECRETS, TooOpen, write_secrets
from tests.deploy import compose
from worker import _FINISH_WITHIN

DRAWN = {name: draw() for name, (_, draw) in SECRETS.items()}
SERVICES = compose.services(DRAWN)
LASTING = [name for name, service in SERVICES.items() if service["restart"] == "unless-stopped"]
ONE_SHOT = [name for name in SERVICES if name not in LASTING]


def seconds(duration: str) -> int:
    assert re.fullmatch(r"\d+s", duration)
    return int(duration[:-1])


def test_it_is_a_compose_file() -> None:
    schema = json.loads((compose.ROOT / "tests/deploy/compose-spec.json").read_text())
    assert [error.message for error in jsonschema_rs.validator_for(schema).iter_errors(compose.read(DRAWN))] == []


def test_every_secret_is_drawn_and_none_has_a_default() -> None:
    assert compose.required() == set(SECRETS)
    secret = re.compile("PASSWORD|KEY|SECRET|TOKEN")
    assert [name for name in compose.defaults() if secret.search(name)] == []


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_nothing_starts_without_a_secret(name: str) -> None:
    for without in ({}, {name: ""}):
        environment = {known: value for known, value in DRAWN.items() if known != name} | without
        with pytest.raises(compose.Missing, match=name):
            compose.read(environment)


def test_no_secret_stands_in_a_service_that_does_not_need_it() -> None:
    holders = {
        name: {service for service, body in SERVICES.items() if DRAWN[name] in json.dumps(body)} for name in DRAWN
    }
    engine = set(compose.ours(DRAWN)) - {"sandbox", "codec"}
    assert holders == {
        "POSTGRES_PASSWORD": {"postgres"},
        "AUTODEBIT_DATABASE_PASSWORD": engine | {"postgres"},
        "TEMPORAL_DATABASE_PASSWORD": {"postgres", "temporal", "temporal-schema"},
        "AUTODEBIT_VAULT_KEYS": engine,
        "AUTODEBIT_VAULT_HASH_KEY": engine,
        "AUTODEBIT_PAYLOAD_KEYS": engine | {"codec"},
        "AUTODEBIT_CODEC_SERVER_KEY": {"codec"},
        "AUTODEBIT_METRICS_KEY": engine,
    }


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_is_watched_limited_and_started_again(name: str) -> None:
    service = SERVICES[name]
    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert service["deploy"]["resources"]["limits"]["memory"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_needs_is_waited_for(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if needed in ONE_SHOT else "service_healthy"
        assert how["condition"] == expected
    assert SERVICES[name]["image"].rpartition(":")[2] not in ("", "latest")


def test_the_engine_runs_twice_without_rights_it_does_not_need() -> None:
    assert [SERVICES[name]["deploy"]["replicas"] for name in ("api", "worker")] == [2, 2]
    for service in compose.ours(DRAWN).values():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])


def test_only_the_proxy_is_reached_from_other_machines() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert [name for name, open_ in ports.items() if not all(port.startswith("127.0.0.1:") for port in open_)] == [
        "proxy"
    ]
    assert compose.read(DRAWN)["networks"]["back"]["internal"]
    assert SERVICES["postgres"]["networks"] == SERVICES["temporal"]["networks"] == ["back"]


def test_docker_waits_longer_than_a_worker_needs_to_finish() -> None:
    assert seconds(SERVICES["worker"]["stop_grace_period"]) > _FINISH_WITHIN.total_seconds()


def test_the_files_it_mounts_are_there() -> None:
    mounted = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])]
    files = [source for source in mounted if source.startswith("./")]
    assert files
    assert all((compose.ROOT / source).exists() for source in files)
    named = {source for source in mounted if not source.startswith("./")}
    assert named == set(compose.read(DRAWN)["volumes"])


def test_fairness_is_on_and_exact_for_webhooks_and_the_queues_of_the_gateways() -> None:
    dynamic = yaml.safe_load((compose.ROOT / "deploy/temporal/dynamicconfig.yaml").read_text())
    assert dynamic["matching.enableFairness"] == [{"value": True}]
    one_partition = [
        {"value": 1, "constraints": {"taskQueueName": queue}}
        for queue in (DELIVERIES_QUEUE, *map(gateway_queue, sorted(GATEWAYS)))
    ]
    for direction in ("Read", "Write"):
        assert dynamic[f"matching.numTaskqueue{direction}Partitions"] == one_partition


def test_the_second_drawing_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    assert write_secrets(file) == list(SECRETS)
    first = file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    assert write_secrets(file) == []
    assert file.read_bytes() == first


def test_only_what_is_missing_is_drawn(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.touch(0o600)
    file.write_text("AUTODEBIT_PUBLIC_URL=https://pay.example\nPOSTGRES_PASSWORD=mine\nAUTODEBIT_VAULT_KEYS=")
    assert "POSTGRES_PASSWORD" not in write_secrets(file)
    said = file.read_text()
    assert said.startswith("AUTODEBIT_PUBLIC_URL=https://pay.example\nPOSTGRES_PASSWORD=mine\nAUTODEBIT_VAULT_KEYS=\n")
    assert write_secrets(file) == []


def test_a_file_that_others_can_read_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("A=b\n")
    file.chmod(0o644)
    with pytest.raises(TooOpen):
        write_secrets(file)
    assert file.read_text() == "A=b\n"


def test_the_drawn_file_is_never_committed() -> None:
    git = shutil.which("git")
    if git is None or not (compose.ROOT / ".git").exists():
        pytest.skip("not a checkout")
    assert subprocess.run([git, "check-ignore", "--quiet", ".env"], cwd=compose.ROOT, check=False).returncode == 0
