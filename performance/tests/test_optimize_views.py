"""The address that asks to put the database in order, and the page that shows how far it is."""

import threading
import uuid
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from conftest import Cast
from performance import database, optimize_plan, optimize_worker
from performance.models import Optimization
from performance.tests.standing import drop, in_order, run, standing

__all__ = ["in_order"]

ADDRESS = "/api/apply_database_optimizations"
DUE = "idx_lead_cre_due"
HTML = {"Accept": "text/html"}
HTMX = {"HX-Request": "true"}


@pytest.fixture
def supervisor(cast: Cast, client: Client) -> Client:
    client.force_login(cast.meera)
    return client


@pytest.fixture
def missing(db: None) -> None:
    drop(DUE)


def made(by: User, **fields: Any) -> Optimization:
    step = optimize_plan.Step("Analyze outbox.", 'ANALYZE "outbox"', "analyze", "outbox", "", "It was never analyzed.")
    return Optimization.objects.create(**{"asked_by": by, "steps": [step.kept()], **fields})


def finished(by: User, state: str, **fields: Any) -> Optimization:
    return made(by, state=state, ended_at=timezone.now(), **fields)


# --- Who may, and how -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("missing")
@pytest.mark.parametrize("name", ["asha", "kiran", "head", "reception"])
def test_only_supervisors_may_ask_and_see(cast: Cast, client: Client, name: str) -> None:
    job = made(cast.meera)
    client.force_login(getattr(cast, name))
    refused = client.post(ADDRESS)
    assert (refused.status_code, refused.json()["success"]) == (403, False)
    page = reverse("optimization", args=[job.pk])
    assert client.get(page).status_code == 403
    assert client.get(page, headers={"Accept": "application/json"}).json()["success"] is False
    assert Optimization.objects.count() == 1


def test_who_is_not_signed_in_is_told_so(db: None, client: Client) -> None:
    assert client.post(ADDRESS).status_code == 401
    assert client.post(ADDRESS).json()["message"] == "Sign in first."


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_it_takes_only_a_post(supervisor: Client, method: str) -> None:
    response = getattr(supervisor, method)(ADDRESS)
    assert (response.status_code, response["Allow"], response.json()["success"]) == (405, "POST", False)


def test_without_the_forms_token_nothing_is_asked(cast: Cast) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.meera)
    response = client.post(ADDRESS)
    assert (response.status_code, response.json()["success"]) == (403, False)
    assert not Optimization.objects.exists()


# --- What it answers ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("missing")
@pytest.mark.parametrize("spelling", ["true", "1", "yes", "ON"])
def test_a_dry_run_says_what_would_be_done_and_changes_nothing(supervisor: Client, spelling: str) -> None:
    before = standing()
    response = supervisor.post(ADDRESS, {"dry_run": spelling})
    answer = response.json()
    assert (response.status_code, answer["success"]) == (200, True)
    step = next(step for step in answer["steps"] if step["index"] == DUE)
    assert step["sql"].startswith("CREATE INDEX CONCURRENTLY")
    assert answer["execution_time"].endswith("s")
    assert "job" not in answer
    assert not Optimization.objects.exists()
    optimize_worker.look()
    assert standing() == before


FORM = "application/x-www-form-urlencoded"


@pytest.mark.usefixtures("missing")
@pytest.mark.parametrize(
    ("query", "content_type", "body"),
    [
        ("?dry_run=1", FORM, ""),
        ("?dry_run=true", FORM, "dry_run=true"),
        ("", FORM, "dry_run=y"),
        ("", FORM, "dry_run=true,"),
        ("", FORM, "dry_run=dry"),
        ("", FORM, "dry_run=false&dry_run=true"),
        ("", FORM, "dryrun=true"),
        ("", FORM, "dry-run"),
        ("", "application/json", '{"dry_run": true}'),
        ("", "application/json", "{}"),
        ("", "text/plain", "dry_run=true"),
        ("", MULTIPART_CONTENT, encode_multipart(BOUNDARY, {"dry_run": StringIO("true")}).decode()),
        ("", "", "dry_run=true"),
    ],
)
def test_what_may_have_meant_only_a_look_is_never_carried_out(
    supervisor: Client, query: str, content_type: str, body: str
) -> None:
    for headers in ({}, HTML):
        response = supervisor.generic("POST", ADDRESS + query, body, content_type=content_type, headers=headers)
        assert response.status_code == (303 if headers else 422)
        assert not Optimization.objects.exists()
    answer = supervisor.generic("POST", ADDRESS + query, body, content_type=content_type).json()
    assert answer["success"] is False
    assert "could not be understood" in answer["message"]


@pytest.mark.usefixtures("missing")
@pytest.mark.parametrize(
    ("content_type", "body"),
    [("", ""), (FORM, ""), (FORM, "dry_run="), (FORM, "dry_run=False"), (FORM, "dry_run=0&csrfmiddlewaretoken=x")],
)
def test_a_plain_request_is_carried_out(supervisor: Client, content_type: str, body: str) -> None:
    assert supervisor.generic("POST", ADDRESS, body, content_type=content_type).status_code == 202
    assert Optimization.objects.count() == 1


@pytest.mark.usefixtures("missing")
def test_asking_leaves_a_request_for_the_workers(
    supervisor: Client, cast: Cast, caplog: pytest.LogCaptureFixture
) -> None:
    response = supervisor.post(ADDRESS)
    answer = response.json()
    job = Optimization.objects.get()
    assert response.status_code == 202
    assert answer["success"]
    assert answer["message"]
    assert answer["job"] == str(job.pk)
    assert DUE in [step["index"] for step in answer["steps"]]
    assert answer["execution_time"].endswith("s")
    assert (job.state, job.asked_by, job.steps) == ("waiting", cast.meera, answer["steps"])
    assert job.cause
    # Nothing was done in the request itself.
    assert DUE not in standing()
    said: Any = next(record.msg for record in caplog.records if "optimizations asked for" in str(record.msg))
    assert (said["by"], said["job"], said["status"]) == (cast.meera.pk, str(job.pk), 202)


def test_where_there_is_nothing_to_do_it_says_so_and_makes_no_request(
    supervisor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimize_plan, "plan", list)
    response = supervisor.post(ADDRESS)
    assert response.status_code == 200
    assert response.json()["message"].startswith("There is nothing that the desk can put right")
    assert response.json()["steps"] == []
    assert not Optimization.objects.exists()
    # Somebody else has had it done: the rest of the page does not know yet.
    assert supervisor.post(ADDRESS, headers=HTMX)["HX-Refresh"] == "true"


@pytest.mark.usefixtures("missing")
@pytest.mark.parametrize("state", ["waiting", "running"])
def test_while_one_is_not_finished_another_is_refused_and_shown_the_first(
    supervisor: Client, cast: Cast, state: str
) -> None:
    job = made(cast.meera, state=state)
    response = supervisor.post(ADDRESS)
    assert response.status_code == 409
    assert (response.json()["success"], response.json()["job"]) == (False, str(job.pk))
    assert Optimization.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_who_ask_at_once_one_is_first(in_order: dict[str, Any], cast: Cast) -> None:
    drop(DUE)
    barrier, statuses = threading.Barrier(2), []

    def ask() -> None:
        try:
            client = Client()
            client.force_login(cast.meera)
            barrier.wait(10)
            response = client.post(ADDRESS)
            statuses.append((response.status_code, response.json()["job"]))
        finally:
            connection.close()

    rivals = [threading.Thread(target=ask) for _ in range(2)]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join(20)
    job = str(Optimization.objects.get().pk)
    assert sorted(statuses) == [(202, job), (409, job)]


def test_catalogues_that_cannot_be_read_are_told_as_they_are(
    supervisor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "INDEXES", "SELECT nothing FROM nowhere WHERE name = %s")
    for headers in ({}, HTMX):
        response = supervisor.post(ADDRESS, headers=headers)
        assert response.status_code == 503
        assert "could not be read" in response.content.decode()
    assert supervisor.post(ADDRESS, headers=HTML).status_code == 303


@pytest.mark.usefixtures("missing")
def test_a_form_without_a_script_leads_to_the_page_of_the_request(supervisor: Client) -> None:
    response = supervisor.post(ADDRESS, headers=HTML)
    job = Optimization.objects.get()
    assert (response.status_code, response["Location"]) == (303, f"/performance_metrics/jobs/{job.pk}")
    assert "A worker will start within seconds" in supervisor.get(response["Location"]).content.decode()


@pytest.mark.usefixtures("missing")
def test_in_place_it_shows_how_far_it_is(supervisor: Client, cast: Cast) -> None:
    shown = supervisor.post(ADDRESS, headers=HTMX)
    assert shown.status_code == 202
    assert shown.content.decode().strip().startswith('<div id="optimization-job"')
    assert 'data-say="Requested.' in shown.content.decode()
    assert supervisor.post(ADDRESS, headers=HTMX).status_code == 409


# --- How far it is --------------------------------------------------------------------------------------------------


def page(client: Client, job: Optimization, query: str = "", **headers: str) -> str:
    response = client.get(reverse("optimization", args=[job.pk]) + query, headers=headers)
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    return response.content.decode()


def test_the_page_asks_for_itself_again_until_it_is_done(supervisor: Client, cast: Cast) -> None:
    job = made(cast.meera)
    asked = page(supervisor, job)
    assert "<h1" in asked
    assert 'hx-trigger="every 2s"' in asked
    assert f'href="/performance_metrics/jobs/{job.pk}"' in asked
    Optimization.objects.update(state="done", ended_at=timezone.now(), message="All done: 1 step.")
    done = page(supervisor, job, **HTMX)
    assert "<h1" not in done
    assert "hx-trigger" not in done
    assert "All done: 1 step." in done


def test_below_the_verdict_the_end_of_it_has_the_whole_page_loaded_anew(supervisor: Client, cast: Cast) -> None:
    """The verdict speaks of the indexes that were missing when the page was loaded."""
    job = made(cast.meera, state="running", seen_at=timezone.now())
    address, here = reverse("optimization", args=[job.pk]), {**HTMX, "HX-Current-URL": "http://testserver"}
    metrics = {**here, "HX-Current-URL": "http://testserver/performance_metrics?window=hour#optimize"}
    assert "HX-Refresh" not in supervisor.get(address, headers=metrics)
    Optimization.objects.update(state="failed", ended_at=timezone.now(), message="1 of 1 steps failed.")
    assert "HX-Refresh" not in supervisor.get(
        address, headers={**here, "HX-Current-URL": f"http://testserver{address}"}
    )
    ended = supervisor.get(address, headers=metrics)
    assert (ended["HX-Refresh"], ended["Cache-Control"]) == ("true", "no-store")
    page = supervisor.get("/performance_metrics").content.decode()
    assert "Failed. 1 of 1 steps failed." in page
    assert address in page


def test_it_tells_the_truth_about_a_failure(supervisor: Client, cast: Cast) -> None:
    job = finished(cast.meera, "failed", message="1 of 1 steps failed.")
    job.steps[0] |= {"state": "failed", "error": "Out of disk space.", "seconds": 1.5}
    job.save()
    shown = page(supervisor, job)
    for words in ("Failed", "Out of disk space.", "1 of 1 steps failed.", "in 1.50 s"):
        assert words in shown


def test_a_program_gets_the_same_as_json(supervisor: Client, cast: Cast) -> None:
    told = supervisor.get(
        reverse("optimization", args=[finished(cast.meera, "done").pk]), headers={"Accept": "application/json"}
    ).json()
    assert (told["success"], told["state"], told["progress"]) == (True, "done", None)
    assert told["steps"][0]["sql"] == 'ANALYZE "outbox"'
    assert told["execution_time"]
    assert "Meera" not in str(told)


def test_only_news_is_said_aloud(supervisor: Client, cast: Cast) -> None:
    job = made(cast.meera, state="running", seen_at=timezone.now())
    assert "data-say" not in page(supervisor, job, "?seen=running-0", **HTMX)
    assert 'data-say="Running. 0 of 1 steps finished."' in page(supervisor, job, "?seen=waiting-0", **HTMX)


def test_no_worker_is_said_to_be_missing_before_its_time(supervisor: Client, cast: Cast) -> None:
    job = made(cast.meera)
    assert "No worker has taken it yet" not in page(supervisor, job)
    Optimization.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    assert "No worker has taken it yet" in page(supervisor, job)
    Optimization.objects.update(state="running", seen_at=timezone.now() - timedelta(minutes=1))
    assert "The worker was last heard of" in page(supervisor, job)


def test_a_request_that_never_was_is_not_found(supervisor: Client) -> None:
    assert supervisor.get(reverse("optimization", args=[uuid.uuid4()])).status_code == 404


def test_the_page_costs_the_same_for_one_step_and_for_fifty(supervisor: Client, cast: Cast) -> None:
    job = made(cast.meera, state="running", seen_at=timezone.now())

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            page(supervisor, job)
        return len(queries)

    asked()
    one = asked()
    Optimization.objects.update(steps=[{**job.steps[0], "state": "running", "kind": "create"}] * 50)
    # It looks how far the running one is.
    assert asked() == one + 1


# --- As parts of the performance page -------------------------------------------------------------------------------


def shown(client: Client, part: str) -> str:
    response = client.get(f"/performance_metrics/part/{part}")
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.usefixtures("missing")
def test_the_plan_is_shown_before_it_is_applied(supervisor: Client, cast: Cast) -> None:
    plan = shown(supervisor, "optimize")
    assert f"Create the index {DUE} on lead_master." in plan
    assert "CREATE INDEX CONCURRENTLY" in plan
    assert "Apply optimizations</span>" in plan


def test_what_the_desk_leaves_to_people_is_not_called_in_order(supervisor: Client) -> None:
    drop("lead_master_one_open_per_phone")
    run("CREATE INDEX lead_master_one_open_per_phone ON lead_master (customer_mobile_number)")
    assert "Indexes that are not as the desk’s migrations make them" in shown(supervisor, "database")
    for told in (shown(supervisor, "optimize"), supervisor.post(ADDRESS, {"dry_run": "true"}).json()["message"]):
        assert "every index is there" not in told
        assert "nothing that the desk can put right by itself" in told


def test_a_closed_page_finds_its_request_again(supervisor: Client, cast: Cast) -> None:
    job = made(cast.meera)
    assert f"/performance_metrics/jobs/{job.pk}" in shown(supervisor, "optimize")
    assert "Apply optimizations</span>" not in shown(supervisor, "optimize")
    Optimization.objects.update(state="done", ended_at=timezone.now())
    assert "Last time: done" in shown(supervisor, "optimize")


def test_the_database_is_shown_in_words(supervisor: Client) -> None:
    run("CREATE INDEX somebody_elses ON lead_master (campaign)")
    drop(DUE)
    told = shown(supervisor, "database")
    assert f"Indexes that are missing, so that something reads whole tables: {DUE}." in told
    assert "Indexes that the desk does not know, and never touches: somebody_elses." in told
    assert "lead_master" in told
