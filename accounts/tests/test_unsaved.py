"""A session that ended during a form: what was typed comes back after the sign-in, to the same person alone."""

import re
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core import signing
from django.test import Client, override_settings
from django.urls import resolve, reverse
from django.utils import timezone

from accounts.middleware import SignInRequiredMiddleware
from accounts.models import User
from accounts.unsaved import FORMS, SALT, Unsaved
from conftest import PASSWORD, Cast
from leads.models import LeadMaster
from leads.services import capture_lead
from leads.tests.factories import enquiry

OURS = {"Origin": "http://testserver"}
TYPED = {
    "customer_mobile_number": "98480 12345",
    "customer_name": "Suma <b>“Latha”</b> & Sons",
    "source": "GOOGLE",
    "subsource": "Google Know",
    "lead_status": "RNR",
    "remark": "Call after six\nand “not” before",
    "follow_up_date": f"{timezone.localdate() + timedelta(days=3)}T17:30",
    "request_id": "0b2f5a5e-8d7c-4a53-9f0e-3f5d5b1a7c11",
    "typed_by": "asha",
}


def post_form(client: Client, path: str = "/add_lead", headers: dict[str, str] = OURS, **fields: str) -> Any:
    """As a browser posts a plain form of our own."""
    body = urlencode({**TYPED, **fields})
    return client.post(path, body, content_type="application/x-www-form-urlencoded", headers=headers)


def kept(page: Any) -> str:
    found = re.search(r'name="kept" value="([^"]+)"', page.text)
    return unescape(found[1]) if found else ""


def hidden(page: Any) -> dict[str, str]:
    """The fields with which a page leads back into the form."""
    return {
        unescape(name): unescape(value)
        for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text)
    }


def sign_in(client: Client, username: str = "asha", password: str = PASSWORD, **fields: str) -> Any:
    return client.post("/login", {"username": username, "password": password, **fields}, headers=OURS)


def test_what_was_typed_comes_back_after_the_sign_in_and_is_saved_once(client: Client, cast: Cast) -> None:
    asked = post_form(client)
    assert asked.status_code == 401
    assert "It is kept" in asked.text
    assert "no-store" in asked["Cache-Control"]
    wrong = sign_in(client, password="wrong", kept=kept(asked), next="/add_lead")
    assert kept(wrong), "a wrong password loses nothing"
    back = sign_in(client, kept=kept(wrong), next="/add_lead")
    assert 'action="/add_lead"' in back.text
    fields = hidden(back)
    assert fields.pop("resume") == "1"
    assert "Suma &lt;b&gt;" in back.text
    form = client.post("/add_lead", {**fields, "resume": "1"})
    assert form.status_code == 200
    assert "What you had typed is back: save it again." in form.text
    assert "field-error" not in form.text, "not judged before it is saved"
    for name in ("customer_mobile_number", "request_id", "follow_up_date"):
        assert f'value="{TYPED[name]}"' in form.text
    assert "Suma &lt;b&gt;“Latha”&lt;/b&gt; &amp; Sons" in form.text
    assert '<option value="Google Know" selected>' in form.text
    assert LeadMaster.objects.count() == 0
    assert client.post("/add_lead", fields).status_code == 201
    lead = LeadMaster.objects.get()
    assert (lead.customer_name, lead.cre, lead.first_remark) == (TYPED["customer_name"], cast.asha, TYPED["remark"])


def test_the_token_of_the_way_back_is_the_one_of_now(cast: Cast) -> None:
    client = Client(enforce_csrf_checks=True)
    client.get("/login")
    before = client.cookies["csrftoken"].value
    asked = post_form(client)
    token = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', asked.text)
    assert token
    back = sign_in(client, kept=kept(asked), csrfmiddlewaretoken=token[1])
    assert client.cookies["csrftoken"].value != before
    form = client.post("/add_lead", hidden(back), headers=OURS)
    assert (form.status_code, "is back" in form.text) == (200, True)


def test_another_person_is_not_shown_what_was_typed(client: Client, cast: Cast) -> None:
    answer = sign_in(client, "ravi", kept=kept(post_form(client)), next="/add_lead")
    assert answer.headers["Location"] == "/"
    page = client.get("/cre_dashboard")
    assert "What asha had typed was not saved" in page.text
    assert "Suma" not in page.text


def test_who_may_no_longer_sign_in_gets_nothing_back(client: Client, cast: Cast) -> None:
    client.force_login(cast.asha)
    User.objects.filter(pk=cast.asha.pk).update(is_active=False)
    asked = post_form(client)
    assert asked.status_code == 401
    refused = sign_in(client, kept=kept(asked))
    assert "may no longer sign in" in refused.text
    assert "Suma" not in refused.text
    assert LeadMaster.objects.count() == 0


@pytest.mark.parametrize(
    ("path", "headers", "fields"),
    [
        ("/add_lead", {"Origin": "https://evil.example"}, {}),
        ("/add_lead", {"Origin": "null"}, {}),
        ("/add_lead", {}, {}),
        ("/add_lead", OURS, {"typed_by": ""}),
        ("/add_lead", OURS, {"remark": "x" * 20_000}),
        ("/add_lead/known", OURS, {}),
        ("/password", OURS, {"old_password": PASSWORD}),
    ],
    ids=["another site", "nobody knows which site", "no site", "nobody's", "too much", "not a kept form", "a password"],
)
def test_what_is_not_kept_leads_to_the_plain_sign_in(
    client: Client, cast: Cast, path: str, headers: dict[str, str], fields: dict[str, str]
) -> None:
    answer = post_form(client, path, headers, **fields)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/login?next={path}")


def test_files_are_not_kept(client: Client, cast: Cast) -> None:
    assert client.post("/add_lead", TYPED, headers=OURS).status_code == 302, "a multipart body"


def test_passwords_and_tokens_are_never_carried(client: Client, cast: Cast) -> None:
    asked = post_form(client, new_password1="Secret-1", Password="Secret-2", csrfmiddlewaretoken="t" * 64)
    fields = hidden(sign_in(client, kept=kept(asked)))
    assert "Secret" not in str(fields)
    assert fields["csrfmiddlewaretoken"] != "t" * 64


def test_a_forged_or_stale_parcel_is_dropped(client: Client, cast: Cast) -> None:
    ours = Unsaved("asha", "/add_lead", [("customer_name", "Suma")]).sealed()
    assert sign_in(client, kept=ours[:-3] + "abc").headers["Location"] == "/"
    client.logout()
    with override_settings(SECRET_KEY="another" * 8):
        foreign = signing.dumps({"who": "asha", "path": "//evil.example", "fields": []}, salt=SALT)
    assert sign_in(client, kept=foreign).headers["Location"] == "/"


def test_a_form_that_was_open_across_a_sign_in_is_led_back_to(cast: Cast) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.asha)
    client.get("/add_lead")
    answer = post_form(client, csrfmiddlewaretoken="a" * 64)
    assert answer.status_code == 403
    assert "nothing you typed is lost" in answer.text
    form = client.post("/add_lead", hidden(answer), headers=OURS)
    assert (form.status_code, "is back" in form.text) == (200, True)
    assert LeadMaster.objects.count() == 0


@pytest.mark.parametrize(
    ("headers", "fields"),
    [(OURS, {"typed_by": "ravi"}), ({"Origin": "https://evil.example"}, {}), ({**OURS, "HX-Request": "true"}, {})],
    ids=["another's form", "another site", "a page that keeps its form itself"],
)
def test_without_a_token_others_get_words_alone(cast: Cast, headers: dict[str, str], fields: dict[str, str]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.asha)
    answer = post_form(client, "/add_lead", headers, **fields)
    assert answer.status_code == 403
    assert "out of date" in answer.text
    assert "Suma" not in answer.text


def test_a_sign_in_form_that_went_stale_keeps_its_parcel(cast: Cast) -> None:
    client = Client(enforce_csrf_checks=True)
    asked = post_form(client)
    again = sign_in(client, kept=kept(asked), csrfmiddlewaretoken="a" * 64)
    assert again.status_code == 401
    assert hidden(again)["kept"]


def test_a_program_gets_401_in_json_where_the_address_answers_both(client: Client, cast: Cast) -> None:
    view = resolve("/add_lead").func
    program = Client(headers={"Accept": "application/json"})
    assert program.post("/add_lead_optimized", TYPED).json()["message"] == "Sign in first."

    def both(request: Any) -> Any:
        return view(request)

    both.answers_both = True  # type: ignore[attr-defined]
    middleware = SignInRequiredMiddleware(lambda request: None)  # type: ignore[arg-type]
    request = program.post("/add_lead", TYPED).wsgi_request
    assert middleware.handle_no_permission(request, both).status_code == 401
    request = client.post("/add_lead", TYPED, headers={"Accept": "text/html,*/*;q=0.8"}).wsgi_request
    assert middleware.handle_no_permission(request, both).status_code == 302


def test_a_page_of_one_person_does_not_act_as_another(client: Client, cast: Cast) -> None:
    client.force_login(cast.ravi)
    answer = client.post("/add_lead", TYPED, headers={"HX-Request": "true", "X-Page-Of": "asha"})
    assert answer.status_code == 403
    assert "You are signed in as Ravi now" in answer.text
    assert LeadMaster.objects.count() == 0
    assert client.post("/add_lead", TYPED, headers={"HX-Request": "true", "X-Page-Of": "ravi"}).status_code == 201


@pytest.fixture
def given(cast: Cast) -> LeadMaster:
    """Asha's lead, with Kiran."""
    captured = capture_lead(enquiry(branch_id=cast.attapur.pk, ps_id=cast.kiran.pk), cast.asha)
    return LeadMaster.objects.get(uid=captured.uid)


@pytest.mark.parametrize(
    ("who", "address"), [("asha", "update_lead"), ("meera", "update_lead"), ("kiran", "update_ps_lead")]
)
def test_an_update_comes_back_too_and_saves_nothing_by_itself(
    client: Client, cast: Cast, given: LeadMaster, who: str, address: str
) -> None:
    path = reverse(address, args=[given.uid])
    remark = "Wants “the” black one"
    asked = post_form(client, path, typed_by=who, remark=remark, version=str(given.version))
    form = client.post(path, hidden(sign_in(client, who, kept=kept(asked))))
    assert form.status_code == 200
    assert "What you had typed is back" in form.text
    assert remark in form.text
    before = given.version
    given.refresh_from_db()
    assert (given.version, given.attempts) == (before, 0)


def test_every_form_that_is_kept_says_whose_it_is(client: Client, cast: Cast, given: LeadMaster) -> None:
    pages = {
        "add_lead": (cast.asha, []),
        "update_lead": (cast.asha, [given.uid]),
        "update_ps_lead": (cast.kiran, [given.uid]),
    }
    # What is carried over was typed into a form of a customer who turned out to be known: see test_pages.
    assert {*pages, "carry"} == FORMS
    for address, (person, arguments) in pages.items():
        client.force_login(person)
        assert f'name="typed_by" value="{person.username}"' in client.get(reverse(address, args=arguments)).text
