"""The two addresses for programs: fields in, JSON out, the right status, words at the field."""

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Branch, User
from conftest import Cast
from leads.models import DuplicateLead, LeadMaster, Source
from leads.tests.factories import phone
from leads.tests.typed import fields, post

pytestmark = pytest.mark.django_db


@pytest.fixture
def asha(cast: Cast, client: Client) -> Client:
    client.force_login(cast.asha)
    return client


def test_a_new_lead_is_201_with_its_uid_and_the_time_it_took(cast: Cast, asha: Client) -> None:
    data = fields()
    response = asha.post("/add_lead_optimized", data)
    answer, lead = response.json(), LeadMaster.objects.get()
    assert response.status_code == 201
    assert (answer["success"], answer["outcome"], answer["uid"]) == (True, "created", lead.uid)
    assert re.fullmatch(r"\d+\.\d{3}s", answer["execution_time"])
    assert lead.uid in answer["message"]
    assert (lead.ps, lead.branch, lead.lead_category) == (cast.kiran, cast.attapur, "Hot")
    assert lead.follow_up_at is not None
    assert timezone.localtime(lead.follow_up_at).strftime("%Y-%m-%dT%H:%M") == data["follow_up_date"]


def test_a_duplicate_is_409_with_the_card(asha: Client, cast: Cast) -> None:
    data = fields()
    first = asha.post("/add_lead_optimized", data).json()
    response = asha.post("/add_lead_optimized", data)
    answer = response.json()
    assert response.status_code == 409
    assert (answer["success"], answer["outcome"], answer["uid"]) == (False, "duplicate", first["uid"])
    assert answer["card"]["customer_name"] == "Ramesh Kumar"
    assert answer["card"]["masked"] is False


def test_a_repeat_is_200_and_tells_how_often_the_customer_has_asked(asha: Client) -> None:
    data = fields()
    asha.post("/add_lead_optimized", data)
    response = asha.post("/add_lead_optimized", {**data, "source": "OEM", "subsource": "Web"})
    answer = response.json()
    assert response.status_code == 200
    assert (answer["success"], answer["outcome"]) == (True, "repeat")
    assert answer["message"].startswith("2nd enquiry in 7 days, now from OEM Web")
    assert answer["card"]["enquiries"] == 2


def test_the_same_request_id_gets_the_first_answer_again(asha: Client) -> None:
    data = fields(request_id=str(uuid.uuid4()))
    first, second = (asha.post("/add_lead_optimized", data) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["uid"] == second.json()["uid"]
    assert second.json()["replayed"] is True
    assert "replayed" not in first.json()


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("customer_name", "", "name"),
        ("customer_name", "x" * 101, "100"),
        ("customer_name", "Ram\x07esh", "cannot be shown"),
        ("customer_name", "Ram\u202eesh", "cannot be shown"),
        ("customer_name", "\u200b", "letters"),
        ("customer_name", "\u3164", "letters"),
        ("customer_mobile_number", "\u00009848012345", "cannot be shown"),
        ("customer_mobile_number", "\u1112\u1161\u11ab" * 14 + "9848012345", "too long"),
        ("customer_mobile_number", "", "phone number"),
        ("customer_mobile_number", "12", "too few"),
        ("customer_mobile_number", "9876543210" * 5, "too long"),
        ("customer_mobile_number", "hello", "not a phone number"),
        ("source", "", "Choose a source"),
        ("source", "PIGEON", "PIGEON"),
        ("subsource", "Nobody Knows", "Nobody Knows"),
        ("lead_status", "", "how the call went"),
        ("lead_status", "Delighted", "Delighted"),
        ("lead_status", "Talked to PS", "first call"),
        ("lead_status", "Pending", "first call"),
        ("lead_category", "Boiling", "Boiling"),
        ("model_interested", "Penny-farthing", "Penny-farthing"),
        ("branch", "ATLANTIS", "ATLANTIS"),
        ("ps_name", "nobody", "nobody"),
        ("ps_name", "sunil", "MALAKPET"),
        ("ps_name", "asha", "asha"),
        ("final_status", "Won", "means Pending"),
        ("follow_up_date", "", "needs a follow-up"),
        ("follow_up_date", "2020-01-01T10:00", "has passed"),
        ("follow_up_date", "2099-01-01T10:00", "more than a year"),
        ("follow_up_date", "tomorrow", "2026-01-31T17:30"),
        ("remark", "x" * 1001, "1000"),
        ("remark", "a\x00b", ""),
        ("request_id", "7", "UUID"),
    ],
)
def test_bad_input_is_422_with_words_at_its_field(asha: Client, field: str, value: str, says: str) -> None:
    response = post(asha, **{field: value})
    answer = response.json()
    assert response.status_code == 422
    assert (answer["success"], answer["outcome"]) == (False, "invalid")
    assert says in answer["errors"][field]
    assert set(answer["errors"]) == {field}
    assert not LeadMaster.objects.exists()


def test_everything_wrong_is_told_at_once(asha: Client) -> None:
    answer = asha.post("/add_lead_optimized", {}).json()
    assert set(answer["errors"]) == {
        "customer_name",
        "customer_mobile_number",
        "source",
        "subsource",
        "lead_status",
    }


@pytest.mark.parametrize("name", ["kiran", "KIRAN", "Kiran", "id"])
@pytest.mark.parametrize("branch", ["attapur", "ATTAPUR", "id", ""])
def test_people_and_branches_are_known_by_name_or_id(cast: Cast, asha: Client, name: str, branch: str) -> None:
    response = post(
        asha,
        ps_name=str(cast.kiran.pk) if name == "id" else name,
        branch=str(cast.attapur.pk) if branch == "id" else branch,
    )
    assert response.status_code == 201
    lead = LeadMaster.objects.get()
    assert (lead.ps, lead.branch) == (cast.kiran, cast.attapur)


def test_a_name_that_two_ps_share_is_refused_unless_the_branch_tells_them_apart(cast: Cast, asha: Client) -> None:
    User.objects.filter(pk__in=[cast.kiran.pk, cast.sunil.pk]).update(name="S. Rao")
    assert post(asha, ps_name="s. rao", branch="MALAKPET").status_code == 201
    assert LeadMaster.objects.get().ps == cast.sunil
    response = post(asha, ps_name="S. Rao", branch="")
    assert response.status_code == 422
    assert "ps_name" in response.json()["errors"]


def test_a_branch_a_ps_and_a_source_made_just_now_are_known_at_once(cast: Cast, asha: Client) -> None:
    post(asha)
    User.objects.create_user("newps", None, name="New PS", role="ps", branch=cast.malakpet)
    Source.objects.create(source="RADIO", sub_source="Morning Show", letter="R")
    response = post(asha, branch="MALAKPET", ps_name="newps", source="radio", subsource="morning show")
    assert response.status_code == 201
    assert response.json()["uid"].startswith("R-")


def test_a_ps_on_leave_is_refused_although_the_directory_remembers_otherwise(cast: Cast, asha: Client) -> None:
    post(asha)
    User.objects.filter(pk=cast.kiran.pk).update(available=False)
    response = post(asha)
    assert response.status_code == 422
    assert "takes no new leads" in response.json()["errors"]["ps_name"]


def test_a_status_is_known_by_any_former_spelling(asha: Client) -> None:
    assert post(asha, lead_status="busy on another CALL", follow_up_date="").status_code == 201
    assert LeadMaster.objects.get().lead_status == "Busy on another Call"


def test_a_closing_outcome_drops_a_follow_up_even_one_that_has_passed(asha: Client) -> None:
    response = post(asha, lead_status="Not Interested", final_status="Lost", follow_up_date="2020-01-01T10:00")
    assert response.status_code == 201
    lead = LeadMaster.objects.get()
    assert (lead.final_status, lead.follow_up_at) == ("Lost", None)


def test_a_follow_up_with_an_offset_is_that_moment(asha: Client) -> None:
    soon = (timezone.now() + timedelta(days=2)).replace(microsecond=0)
    assert post(asha, follow_up_date=soon.isoformat()).status_code == 201
    assert LeadMaster.objects.get().follow_up_at == soon


def test_check_tells_new_duplicate_and_repeat(cast: Cast, asha: Client) -> None:
    number = phone()

    def check(**changes: str) -> dict[str, Any]:
        data = {"phone_number": number, "source": "META", "subsource": "Meta Know", **changes}
        response = asha.post("/check_duplicate_lead", data)
        assert response.status_code == 200
        return response.json()  # type: ignore[no-any-return]

    assert (check()["is_duplicate"], check()["outcome"], check()["card"]) == (False, "new", None)
    post(asha, customer_mobile_number=number)
    spaced = f"0{number[3:8]} {number[8:]}"
    found = check(phone_number=spaced)
    assert (found["is_duplicate"], found["outcome"]) == (True, "duplicate")
    assert set(found["card"]) >= {
        "uid",
        "customer_name",
        "phone",
        "owner",
        "branch",
        "final_status",
        "last_contact_at",
        "enquiries",
        "masked",
    }
    assert check(source="OEM", subsource="Web")["outcome"] == "repeat"
    asha.force_login(cast.ravi)
    card = check()["card"]
    assert card["masked"] is True
    assert number not in str(card)
    assert "Ramesh" not in str(card)


def test_check_refuses_what_is_no_phone(asha: Client) -> None:
    response = asha.post("/check_duplicate_lead", {"phone_number": "12"})
    assert response.status_code == 422
    assert set(response.json()["errors"]) == {"phone_number"}


@pytest.mark.parametrize("url", ["/add_lead_optimized", "/check_duplicate_lead"])
def test_strangers_wrong_roles_and_wrong_methods_are_told_in_json(cast: Cast, url: str) -> None:
    client = Client(enforce_csrf_checks=True)
    assert (client.post(url).status_code, client.post(url).json()["success"]) == (401, False)
    client = Client()
    for who in ["kiran", "head", "reception"]:
        client.force_login(getattr(cast, who))
        assert client.post(url, fields()).status_code == 403
    client.force_login(cast.asha)
    response = client.get(url)
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    assert response.json()["success"] is False
    client.force_login(cast.meera)
    assert client.post(url, {**fields(), "phone_number": phone()}).status_code in {200, 201}


def test_a_post_without_its_csrf_token_is_refused_in_json(cast: Cast) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.asha)
    response = client.post("/add_lead_optimized", fields())
    assert (response.status_code, response.json()["success"]) == (403, False)
    assert not LeadMaster.objects.exists()


def test_nobody_who_has_left_saves_a_lead(cast: Cast, asha: Client) -> None:
    post(asha)
    User.objects.filter(pk=cast.asha.pk).update(is_active=False)
    assert post(asha).status_code == 401
    assert LeadMaster.objects.count() == 1
    assert not DuplicateLead.objects.exists()


def test_an_offset_to_the_second_is_that_moment_too(asha: Client) -> None:
    soon = (timezone.now() + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    assert post(asha, follow_up_date=f"{soon}+23:59:59.999").status_code in {201, 422}


def test_a_retry_is_answered_although_its_follow_up_has_passed_meanwhile(asha: Client) -> None:
    data = fields(request_id=str(uuid.uuid4()))
    first = asha.post("/add_lead_optimized", data)
    late = {**data, "follow_up_date": "2020-01-01T10:00"}
    again = asha.post("/add_lead_optimized", late)
    assert (again.status_code, again.json()["uid"], again.json()["replayed"]) == (201, first.json()["uid"], True)
    assert asha.post("/add_lead_optimized", {**late, "request_id": str(uuid.uuid4())}).status_code == 422

    repeat = {**data, "source": "OEM", "subsource": "Web", "request_id": str(uuid.uuid4())}
    asha.post("/add_lead_optimized", repeat)
    again = asha.post("/add_lead_optimized", {**repeat, "follow_up_date": "2020-01-01T10:00"})
    assert (again.status_code, again.json()["outcome"], again.json()["replayed"]) == (200, "repeat", True)


@pytest.mark.parametrize("how", ["closed", "deleted"])
def test_a_branch_that_has_gone_is_refused_although_the_directory_remembers_it(
    cast: Cast, asha: Client, how: str
) -> None:
    empty = Branch.objects.create(name="KOMPALLY")
    post(asha, branch="KOMPALLY", ps_name="")
    LeadMaster.objects.update(branch=None)
    if how == "closed":
        Branch.objects.filter(pk=empty.pk).update(is_active=False)
    else:
        empty.delete()
    response = post(asha, branch="KOMPALLY", ps_name="")
    assert response.status_code == 422
    assert "closed" in response.json()["errors"]["branch"]
