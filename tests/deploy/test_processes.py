"""What stands for the names and ports of the compose file stands for nothing else."""

from __future__ import annotations

from tests.deploy.processes import moved

HERE = {"@postgres:5432": "@127.0.0.1:28000", "/data": "/var/here", "8000": "29464", "9464": "20001"}


def test_names_and_ports_are_replaced_once_wherever_they_stand() -> None:
    assert moved("urlopen('http://127.0.0.1:8000/readyz'), 0.0.0.0:9464", HERE) == (
        "urlopen('http://127.0.0.1:29464/readyz'), 0.0.0.0:20001"
    )
    assert [moved(word, HERE) for word in ("8000", "9464", "/data")] == ["29464", "20001", "/var/here"]


def test_a_secret_that_holds_the_digits_of_a_port_stays_as_it_was_drawn() -> None:
    address = "postgresql+asyncpg://autodebit:80009464c8000{}@postgres:5432/autodebit"
    for last in ("e", "8000"):
        assert moved(address.format(last), HERE) == address.format(last).replace("postgres:5432", "127.0.0.1:28000")
    assert moved("f9464", HERE) == "f9464"
