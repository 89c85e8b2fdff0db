"""What the addresses for programs answer to whom they refuse."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from conftest import Cast

SECONDS = re.compile(r"\d+\.\d{3}s")
ADDRESSES = ["add_lead_optimized", "check_duplicate_lead", "clear_cache", "apply_database_optimizations", "live_test"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_refusal_too_tells_the_time_on_the_server(cast: Cast, client: Client, address: str) -> None:
    answers = [client.post(reverse(address))]
    client.force_login(cast.kiran)
    answers.append(client.post(reverse(address)))
    client.force_login(cast.meera)
    answers.append(client.get(reverse(address)))
    assert [answer.status_code for answer in answers] == [401, 403, 405]
    assert all(SECONDS.fullmatch(answer.json()["execution_time"]) for answer in answers)


def test_so_does_an_address_that_answers_people_and_programs(cast: Cast, client: Client) -> None:
    client.force_login(cast.asha)
    answer = client.get("/performance_metrics", headers={"Accept": "application/json"})
    assert answer.status_code == 403
    assert SECONDS.fullmatch(answer.json()["execution_time"])
