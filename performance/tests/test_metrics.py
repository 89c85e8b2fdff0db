"""/metrics: in Prometheus's format, for whoever has the token."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from conftest import Cast
from crm import environment
from leads.tests.typed import fields
from performance import timings
from performance.tests.conftest import Impostor

TOKEN = "0123456789abcdef0123456789abcdef"
SAMPLE = re.compile(r'[a-z_]+(\{[a-z]+="[a-z_ ]+"(,[a-z]+="[^"]+")?\})? [0-9.e+-]+')


def ask(client: Client, token: str = TOKEN, method: str = "get") -> Any:
    return getattr(client, method)("/metrics", headers={"Authorization": f"Bearer {token}"})


@pytest.mark.django_db
def test_without_a_token_in_the_environment_there_is_no_such_address(client: Client, cast: Cast, settings: Any) -> None:
    settings.METRICS_TOKEN = ""
    for token in ("", TOKEN):
        assert ask(client, token).status_code == 404
        assert ask(client, token, "post").status_code == 404
    client.force_login(cast.meera)
    assert ask(client, "").status_code == 404


def test_only_whoever_sends_the_token_reads(client: Client, quiet: None, settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN
    for wrong in ("", TOKEN[:-1], TOKEN + "0", TOKEN.upper(), "é" * 32):
        response = ask(client, wrong)
        assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer"), wrong
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": f"Basic {TOKEN}"}).status_code == 401
    assert ask(client, method="post").status_code == 405
    assert ask(client).status_code == 200


@pytest.mark.django_db
def test_the_counts_are_those_of_all_that_was_done(client: Client, cast: Cast, quiet: None, settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN
    client.force_login(cast.asha)
    typed = fields()
    for _ in range(3):
        client.post("/add_lead_optimized", typed)
    timings.flush()
    response = ask(client)
    assert response["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = response.text.splitlines()
    assert 'desk_operation_seconds_count{operation="capture"} 3' in lines
    assert 'desk_operation_seconds_bucket{operation="capture",le="+Inf"} 3' in lines
    assert 'desk_answers_total{operation="capture",outcome="refused"} 2' in lines
    assert "desk_leads_created_total 1" in lines
    assert "desk_timings_lost_total 0" in lines
    rows = [line.split()[-1] for line in lines if line.startswith('desk_rows_total{operation="capture"}')]
    assert [int(number) >= 3 for number in rows] == [True]
    assert 'desk_statement_kind_total{kind="capture"} 3' in lines
    assert 'desk_cache_reads_total{cache="sessions",found="yes"} 3' in lines
    below = [int(line.split()[-1]) for line in lines if line.startswith("desk_operation_seconds_bucket")]
    assert below == sorted(below)
    for line in lines:
        assert line.startswith(("# HELP desk_", "# TYPE desk_")) or SAMPLE.fullmatch(line), line
    told = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(told) == len(set(told))


def test_a_redis_that_is_away_is_said(
    client: Client, impostor: Callable[[bytes | None], Impostor], settings: Any
) -> None:
    settings.METRICS_TOKEN = TOKEN
    impostor(None)
    assert ask(client).status_code == 503


@pytest.mark.parametrize("token", ["short", "a" * 40, "word " * 10, "é" * 40, TOKEN * 7, f'{TOKEN}"'])
def test_a_token_that_is_weak_or_cannot_be_sent_is_refused(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("METRICS_TOKEN", token)
    with pytest.raises(ImproperlyConfigured) as refused:
        environment.metrics_token()
    assert "METRICS_TOKEN" in str(refused.value)
    assert token not in str(refused.value)


@pytest.mark.parametrize("token", ["", TOKEN, "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4eHl6MTIzNDU2Nzg="])
def test_a_sound_token_or_none_is_taken(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("METRICS_TOKEN", token)
    assert environment.metrics_token() == token
