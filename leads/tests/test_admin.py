"""Supervisors find any lead by phone or uid, at any size, and change nothing that a rule decides."""

from collections.abc import Callable

import pytest
from django.contrib.admin.utils import flatten
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.supervision import BoundedPaginator, change_address
from conftest import Cast
from leads.models import DuplicateLead, LeadMaster, Source
from leads.tests.factories import make_lead

LEADS = reverse("admin:leads_leadmaster_changelist")
REPEATS = reverse("admin:leads_duplicatelead_changelist")


@pytest.fixture
def meera(client: Client, cast: Cast) -> Client:
    client.force_login(cast.meera)
    return client


def make_repeat(lead: LeadMaster, sub_source: str = "Web") -> DuplicateLead:
    return DuplicateLead.objects.create(
        lead=lead,
        customer_mobile_number=lead.customer_mobile_number,
        customer_name=lead.customer_name,
        source="OEM",
        sub_source=sub_source,
    )


def found(client: Client, address: str, **query: str) -> list[int]:
    return [row.pk for row in client.get(address, query).context["cl"].result_list]


@pytest.mark.parametrize(
    "typed", ["+919876543210", "98765 43210", "098765-43210", "0091 98765 43210", "９８７６５４３２１０"]
)
def test_a_lead_is_found_by_its_phone_in_any_spelling(meera: Client, cast: Cast, typed: str) -> None:
    lead = make_lead(cast.asha, customer_mobile_number="+919876543210")
    other = make_lead(cast.asha, alternate_number="+919876543210")
    make_lead(cast.asha)
    assert sorted(found(meera, LEADS, q=typed)) == sorted([lead.pk, other.pk])


def test_a_lead_is_found_by_its_uid_even_misread(meera: Client, cast: Cast) -> None:
    lead = make_lead(cast.asha, uid="M-67890-7K01QX2")
    make_lead(cast.asha)
    assert found(meera, LEADS, q=" m-67890-7kolqx2 ") == [lead.pk]


@pytest.mark.parametrize("typed", ["Ramesh", "123", "x" * 500, "%", "+91 98"])
def test_a_search_for_anything_else_finds_nothing_and_does_not_fail(meera: Client, cast: Cast, typed: str) -> None:
    make_repeat(make_lead(cast.asha))
    assert found(meera, LEADS, q=typed) == []
    assert found(meera, REPEATS, q=typed) == []


def test_a_repeat_is_found_by_its_phone_and_by_its_leads_uid(meera: Client, cast: Cast) -> None:
    repeat = make_repeat(make_lead(cast.asha, customer_mobile_number="+919876543210"))
    make_repeat(make_lead(cast.asha))
    assert found(meera, REPEATS, q="98765 43210") == [repeat.pk]
    assert found(meera, REPEATS, q=repeat.lead.uid) == [repeat.pk]


def test_leads_are_filtered_by_standing_owner_branch_and_source(meera: Client, cast: Cast) -> None:
    open_lead = make_lead(cast.asha, branch=cast.attapur)
    nobodys = make_lead(source="OEM", sub_source="Web")
    won = make_lead(cast.ravi, lead_status="Booked", final_status="Won", won_at=timezone.now())
    assert found(meera, LEADS, standing="won") == [won.pk]
    assert found(meera, LEADS, standing="unowned") == [nobodys.pk]
    assert found(meera, LEADS, standing="open") == [nobodys.pk, open_lead.pk]
    assert found(meera, LEADS, standing="nonsense") == [won.pk, nobodys.pk, open_lead.pk]
    assert found(meera, LEADS, branch__id__exact=str(cast.attapur.pk)) == [open_lead.pk]
    assert found(meera, LEADS, cre__id__exact=str(cast.asha.pk)) == [open_lead.pk]
    assert found(meera, LEADS, pair=str(Source.objects.get(sub_source="Web").pk)) == [nobodys.pk]
    assert found(meera, LEADS, pair="x") == found(meera, LEADS, pair="9" * 30) == found(meera, LEADS)
    assert found(meera, LEADS, lead_status__exact="Booked") == [won.pk]


def test_no_list_counts_the_whole_table(meera: Client, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedPaginator, "furthest", 60)
    for _ in range(70):
        make_lead(cast.asha)
    with CaptureQueriesContext(connection) as queries:
        page = meera.get(LEADS, {"_facets": "True"})
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"].upper()]
    assert counts
    assert all("LIMIT 61" in sql for sql in counts)
    assert "more than" in page.text
    assert meera.get(LEADS, {"p": "2"}).status_code == 200
    assert len(found(meera, LEADS, p="2")) == 10


def test_a_short_list_says_how_long_it_is(meera: Client, cast: Cast) -> None:
    make_lead(cast.asha)
    page = " ".join(meera.get(LEADS).text.split())
    assert "more than" not in page
    assert "1 lead " in page


@pytest.mark.parametrize(
    ("address", "more"),
    [
        (LEADS, lambda lead: None),
        (REPEATS, make_repeat),
    ],
)
def test_a_list_costs_the_same_for_few_and_for_many(
    meera: Client, cast: Cast, address: str, more: Callable[[LeadMaster], object]
) -> None:
    def add(number: int) -> None:
        for _ in range(number):
            more(make_lead(cast.asha, branch=cast.attapur, ps=cast.kiran, ps_assigned_at=timezone.now()))

    add(2)
    few = _statements(meera, address)
    add(20)
    assert _statements(meera, address) == few


def _statements(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200
    return len(queries)


def form(lead: LeadMaster, **fields: str) -> dict[str, str]:
    return {
        "customer_name": lead.customer_name,
        "email": lead.email,
        "campaign": lead.campaign,
        "cre": str(lead.cre_id or ""),
        "version": str(lead.version),
        **fields,
    }


def test_what_rules_decide_cannot_be_edited(meera: Client, cast: Cast) -> None:
    lead = make_lead(cast.asha)
    page = meera.get(change_address(lead))
    assert set(page.context["adminform"].form.fields) == {
        "customer_name",
        "email",
        "campaign",
        "cre",
        "version",
    }
    posted = form(lead, customer_name="Ramesh K", lead_status="Booked", final_status="Won", uid="M-1", priority="900")
    assert meera.post(change_address(lead), {**posted, "customer_mobile_number": "+911"}).status_code == 302
    after: dict[str, object] = {**LeadMaster.objects.values().get(pk=lead.pk)}
    before = {field.attname: getattr(lead, field.attname) for field in lead._meta.concrete_fields}
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"customer_name", "version", "updated_at", "saved_by_id"}
    change = lead.changes.get()
    assert (change.field, change.before, change.after, change.by) == (
        "customer_name",
        "Ramesh Kumar",
        "Ramesh K",
        cast.meera,
    )


def test_a_lead_is_given_to_another_cre(meera: Client, cast: Cast) -> None:
    lead = make_lead()
    assert meera.post(change_address(lead), form(lead, cre=str(cast.ravi.pk))).status_code == 302
    lead.refresh_from_db()
    assert lead.cre == cast.ravi
    assert lead.cre_assigned_at is not None
    assert lead.version == 2
    assert meera.post(change_address(lead), form(lead, cre="")).status_code == 302
    lead.refresh_from_db()
    assert not lead.cre
    assert not lead.cre_assigned_at


def test_a_lead_is_given_to_no_one_but_an_active_cre(meera: Client, cast: Cast) -> None:
    lead = make_lead(cast.asha)
    for person in (cast.kiran, cast.meera):
        assert meera.post(change_address(lead), form(lead, cre=str(person.pk))).status_code == 200
    lead.refresh_from_db()
    assert lead.cre == cast.asha


def test_a_lead_whose_cre_has_left_can_still_be_edited(meera: Client, cast: Cast) -> None:
    lead = make_lead(cast.asha)
    cast.asha.is_active = False
    cast.asha.save()
    assert meera.post(change_address(lead), form(lead, customer_name="Ramesh K.")).status_code == 302
    lead.refresh_from_db()
    assert (lead.customer_name, lead.cre) == ("Ramesh K.", cast.asha)


def test_what_workers_wrote_meanwhile_is_kept(meera: Client, cast: Cast) -> None:
    lead = make_lead(cast.asha)
    LeadMaster.objects.filter(pk=lead.pk).update(attempts=7)
    assert meera.post(change_address(lead), form(lead, customer_name="Suresh")).status_code == 302
    lead.refresh_from_db()
    assert (lead.customer_name, lead.attempts) == ("Suresh", 7)


def test_a_lead_that_somebody_changed_meanwhile_is_not_overwritten(meera: Client, cast: Cast) -> None:
    lead = make_lead(cast.asha)
    LeadMaster.objects.filter(pk=lead.pk).update(version=2, customer_name="Suresh")
    page = meera.post(change_address(lead), form(lead, customer_name="Ramesh K."))
    assert page.status_code == 200
    assert "Somebody has changed this lead meanwhile" in page.text
    lead.refresh_from_db()
    assert lead.customer_name == "Suresh"


def test_leads_and_repeats_are_neither_added_nor_deleted_here(meera: Client, cast: Cast) -> None:
    lead = make_lead(cast.asha)
    repeat = make_repeat(lead)
    for row in (lead, repeat):
        name = f"admin:leads_{row._meta.model_name}"
        assert meera.get(reverse(f"{name}_add")).status_code == 403
        assert meera.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
        meera.post(reverse(f"{name}_changelist"), {"action": "delete_selected", "_selected_action": [row.pk]})
        assert type(row)._default_manager.filter(pk=row.pk).exists()
    assert meera.post(change_address(repeat), {"remark": "x"}).status_code == 403


def test_a_leads_page_leads_to_what_hangs_on_it(meera: Client, cast: Cast) -> None:
    lead = make_lead(cast.asha)
    repeat = make_repeat(lead)
    make_repeat(make_lead(cast.asha))
    assert f"{REPEATS}?lead__exact={lead.pk}" in meera.get(change_address(lead)).text
    assert found(meera, REPEATS, lead__exact=str(lead.pk)) == [repeat.pk]
    for model, key in [("psfollowup", lead.uid), ("callattempt", lead.pk), ("outbox", lead.pk)]:
        address = reverse(f"admin:followups_{model}_changelist")
        assert found(meera, address, lead__exact=str(key)) == []


def test_a_source_needs_a_capital_letter_and_says_so(meera: Client, cast: Cast) -> None:
    fields = {"source": "WEBSITE", "sub_source": "Form", "letter": "w", "is_active": "on"}
    page = meera.post(reverse("admin:leads_source_add"), fields)
    assert "Give one capital letter from A to Z." in page.text
    assert "source’s uids start with" in meera.get(reverse("admin:leads_source_add")).text
    meera.post(reverse("admin:leads_source_add"), {**fields, "letter": "W"})
    assert Source.objects.filter(source="WEBSITE", letter="W").exists()


def test_a_source_that_leads_came_from_keeps_its_words_and_stays(meera: Client, cast: Cast) -> None:
    make_lead(cast.asha)
    used = Source.objects.get(sub_source="Meta Know")
    posted = {"source": "FACEBOOK", "sub_source": "x", "letter": "F"}
    assert meera.post(change_address(used), posted).status_code == 302
    used.refresh_from_db()
    assert (used.source, used.letter, used.is_active) == ("META", "F", False)
    page = meera.post(reverse("admin:leads_source_delete", args=[used.pk]), {"post": "yes"}, follow=True)
    assert "in use and stays" in page.text
    unused = Source.objects.get(sub_source="Tele")
    meera.post(reverse("admin:leads_source_delete", args=[unused.pk]), {"post": "yes"})
    assert list(Source.objects.filter(pk__in=[used.pk, unused.pk])) == [used]


def test_every_column_of_a_lead_stands_on_its_page_under_a_heading(meera: Client, cast: Cast) -> None:
    page = meera.get(change_address(make_lead(cast.asha)))
    sets = {fieldset.name: set(flatten(fieldset.fields)) for fieldset in page.context["adminform"]}
    columns = {field.name for field in LeadMaster._meta.concrete_fields} - {"id"}
    assert set().union(*sets.values()) - {"more"} == columns
    assert sum(len(names) for names in sets.values()) == len(columns) + 1
    assert {"request_id", "saved_request_id", "version"} <= sets["Technical"]
    for wrong in ("Cre:", "Ps:", "Uid:", "Cre assigned"):
        assert wrong not in page.text


def test_a_list_says_of_a_lead_what_is_asked_most(meera: Client, cast: Cast) -> None:
    make_lead(
        cast.asha,
        customer_mobile_number="+919876543210",
        branch=cast.attapur,
        ps=cast.kiran,
        ps_assigned_at=timezone.now(),
        follow_up_at=timezone.localtime().replace(month=3, day=5, hour=17, minute=30),
    )
    page = meera.get(LEADS).text
    rows = page[page.index("result_list") :]
    for words in ("+91 98765 43210", "ATTAPUR", "Asha", "Kiran", "5 Mar, 17:30"):
        assert words in rows
    assert "By CRE" in page
