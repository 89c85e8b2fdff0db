"""Each index serves a query that the product runs, at 200,000 leads; docs/indexes.md shows which, and how.

UPDATE_DOCS=1 script/test crm/tests/test_indexes.py writes the document anew.
"""

import json
import os
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Index, UniqueConstraint
from django.utils import timezone

from accounts.models import Role, User
from accounts.tests.constraints import OURS
from crm.tests import big_tables
from crm.tests.index_proofs import GUARDS, PROOFS, SMALL, Proof, Sample
from followups import kept
from followups.models import CallAttempt, PSFollowup
from leads.models import DuplicateLead, LeadChange, LeadMaster

DOCUMENT = Path(settings.BASE_DIR) / "docs" / "indexes.md"
LEADS = 200_000
NAMED = {
    "idx_lead_master_customer_mobile_number",
    "idx_lead_master_cre_name",
    "idx_lead_master_ps_name",
    "idx_duplicate_leads_customer_mobile_number",
    "idx_ps_followup_lead_uid",
}
BIG = {model._meta.db_table for model in (LeadMaster, LeadChange, DuplicateLead, PSFollowup, CallAttempt)}


class Plan(NamedTuple):
    """What PostgreSQL does for a proof: the way down to the index, and big tables that are read whole."""

    way: str
    scanned: list[str]


class Standing(NamedTuple):
    """An index as the database has it."""

    name: str
    table: str
    columns: list[str]
    condition: str
    unique: bool


def _plans() -> dict[str, Plan | None]:
    """The plan of each proof; None where the index is in no plan. The tables are as before when this ends."""
    with transaction.atomic():
        big_tables.fill(LEADS)
        assert LeadMaster.objects.count() >= LEADS
        sample = _sample()
        found = {proof.index: _plan(proof, sample) for proof in PROOFS}
        transaction.set_rollback(True)
    return found


def _sample() -> Sample:
    """Somebody with much to do, and rows of theirs."""
    sql = "SELECT cre_id FROM lead_master WHERE cre_id IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"
    cre = User.objects.get(pk=big_tables.run(sql)[0][0])
    assigned = (
        PSFollowup.objects.open()
        .filter(lead__cre=cre, lead__attempts__gt=1, pk__lt=big_tables.APART)
        .order_by("-id")[0]
    )
    branch = assigned.branch
    return Sample(
        cre=cre,
        ps=assigned.ps,
        head=User.objects.create_user("proof-head", name="Head", role=Role.BRANCH_HEAD, branch=branch),
        supervisor=User.objects.create_user("proof-supervisor", name="Meera", role=Role.SUPERVISOR),
        branch=branch,
        lead=assigned.lead,
        asked_again=LeadMaster.objects.filter(
            enquiries__gt=1, final_status="Pending", pk__lt=big_tables.APART
        ).order_by("-id")[0],
        assigned=assigned,
        now=timezone.now(),
    )


def _plan(proof: Proof, sample: Sample) -> Plan | None:
    """What the statements of `proof` do, undone again."""
    statements: list[tuple[str, Any]] = []

    def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if not many and sql.split(None, 1)[0] in ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE"):
            statements.append((sql, params))
        return execute(sql, params, many, context)

    with transaction.atomic():
        with connection.execute_wrapper(note):
            proof.ask(sample)
        table = _standing()[proof.index].table
        if table in SMALL:
            big_tables.run("SET LOCAL enable_seqscan = off")
        explained = [_explain(*statement) for statement in statements if table in statement[0]]
        transaction.set_rollback(True)
    # The last one is what the page was opened for; before it the reader was looked up and rows were counted.
    for top in reversed(explained):
        if way := _way(top, proof.index):
            return Plan(" → ".join(way), sorted(_scanned(top)))
    return None


def _explain(sql: str, params: Any) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (COSTS OFF, FORMAT JSON) {sql}", params)
        answer = cursor.fetchone()[0]
        plan: dict[str, Any] = (json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]
        return plan


def _way(node: dict[str, Any], index: str) -> list[str] | None:
    """The steps from `node` down to the one that looks into `index`; None if none does."""
    if index in (node.get("Index Name"), *node.get("Conflict Arbiter Indexes", [])):
        return [_step(node)]
    for below in node.get("Plans", []):
        if way := _way(below, index):
            return [_step(node), *way]
    return None


def _step(node: dict[str, Any]) -> str:
    words = node.get("Subplan Name", "")
    conflict = "on conflict" if "Conflict Arbiter Indexes" in node else ""
    condition = node.get("Index Cond", "")
    # Values differ from run to run.
    condition = re.sub(r"'[^']*'(::[a-z ]+(\(\d+\))?)?|\b\d+\b", "?", condition)
    return " ".join(filter(None, [node["Node Type"], conflict, condition and f"`{condition}`", words and f"({words})"]))


def _scanned(node: dict[str, Any]) -> set[str]:
    here = {node["Relation Name"]} if node["Node Type"] == "Seq Scan" and node["Relation Name"] in BIG else set()
    return here.union(*map(_scanned, node.get("Plans", [])))


def _standing() -> dict[str, Standing]:
    """Every index of our tables, as the database has it."""
    tables = [model._meta.db_table for app in OURS for model in apps.get_app_config(app).get_models()]
    rows = big_tables.run(
        f"""SELECT c.relname, i.indrelid::regclass::text, i.indisunique,
                   coalesce(pg_get_expr(i.indpred, i.indrelid), ''),
                   array(SELECT pg_get_indexdef(i.indexrelid, n, true) ||
                                CASE WHEN i.indoption[n - 1] & 1 = 1 THEN ' desc' ELSE '' END
                           FROM generate_series(1, i.indnatts) AS n)
              FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
             WHERE i.indrelid::regclass::text IN ({", ".join(f"'{table}'" for table in tables)})"""
    )
    return {
        name: Standing(name, table, list(columns), condition, bool(unique))
        for name, table, unique, condition, columns in rows
    }


@pytest.fixture(autouse=True)
def _every_page_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "KEEP", timedelta(0))


@pytest.fixture
def standing(db: None) -> dict[str, Standing]:
    return _standing()


# Half a minute: two hundred thousand leads are made for it. One test, so that they are made once; its end empties the
# tables, so that what was rolled back does not slow down the tests that come after.
@pytest.mark.django_db(transaction=True)
def test_every_index_serves_its_query() -> None:
    plans = _plans()
    if os.environ.get("UPDATE_DOCS"):
        DOCUMENT.write_text(_document(plans, _standing()), encoding="utf-8")
    asked = {proof.index: proof.asked for proof in PROOFS}
    unused = {index: asked[index] for index, plan in plans.items() if plan is None}
    scanned = {index: plan.scanned for index, plan in plans.items() if plan and plan.scanned}
    assert unused == {}
    assert scanned == {}


def test_every_index_has_its_query_and_every_query_its_index(standing: dict[str, Standing]) -> None:
    proven = [*(proof.index for proof in PROOFS), *(guard.index for guard in GUARDS)]
    assert len(set(proven)) == len(proven)
    assert set(proven) == set(standing)


def test_what_only_guards_is_unique(standing: dict[str, Standing]) -> None:
    assert all(standing[guard.index].unique for guard in GUARDS)


def test_the_named_indexes_are_there_and_twenty_more(standing: dict[str, Standing]) -> None:
    ours = {name for name in standing if not name.endswith("_pkey")}
    assert ours >= NAMED
    assert len(ours - NAMED) >= 20


def test_no_index_is_made_but_by_our_models(standing: dict[str, Standing]) -> None:
    declared = {
        made.name
        for app in OURS
        for model in apps.get_app_config(app).get_models()
        for made in (*model._meta.indexes, *model._meta.constraints)
        if isinstance(made, Index | UniqueConstraint)
    }
    keys = {f"{index.table}_pkey" for index in standing.values()}
    assert set(standing) == declared | keys


def test_no_index_is_the_beginning_of_another(standing: dict[str, Standing]) -> None:
    doubled = [
        (one.name, other.name)
        for one in standing.values()
        for other in standing.values()
        if one != other
        and (one.table, one.condition) == (other.table, other.condition)
        and not one.unique
        and other.columns[: len(one.columns)] == one.columns
    ]
    assert not doubled


def test_the_document_lists_the_indexes_as_they_are(standing: dict[str, Standing]) -> None:
    """Only the first test knows the plans; UPDATE_DOCS=1 writes them anew."""
    written = DOCUMENT.read_text(encoding="utf-8")
    assert _without_plans(written) == _without_plans(_document({}, standing))
    assert "Plan: none" not in written


def _without_plans(text: str) -> str:
    """Plans may differ a little from one run and version to the next; that the index is in them is tested above."""
    return re.sub(r"^  Plan: .*\n", "", text, flags=re.MULTILINE)


def _document(plans: dict[str, Plan | None], standing: dict[str, Standing]) -> str:
    asked = {proof.index: proof.asked for proof in PROOFS}
    guards = {guard.index: guard.guards for guard in GUARDS}
    lines = [HEAD.format(leads=f"{LEADS:,}", count=len(standing)).strip()]
    for table in dict.fromkeys(standing[name].table for name in (*asked, *guards)):
        note = " (small: plans with sequential scans switched off)" if table in SMALL else ""
        lines.append(f"\n## {table}{note}\n")
        for name in (*asked, *guards):
            if standing[name].table == table:
                lines += _entry(standing[name], asked.get(name), guards.get(name), plans.get(name))
    return "\n".join(lines) + "\n"


def _entry(index: Standing, asked: str | None, guards: str | None, plan: Plan | None) -> list[str]:
    where = f" where {index.condition}" if index.condition else ""
    kind = "unique " if index.unique else ""
    lines = [f"- **{index.name}** {kind}`({', '.join(index.columns)}){where}`"]
    if guards:
        return [*lines, f"  Guards: {guards}"]
    return [*lines, f"  Query: {asked}", f"  Plan: {plan.way if plan else 'none'}"]


HEAD = """
# Indexes

Every index of the desk's own tables, {count} in all, with a query that the product runs and this index serves, and the
way that PostgreSQL takes to it in tables of {leads} leads: the steps from the top of the plan down to the index, with
the condition that is looked up. `crm/tests/test_indexes.py` proves each of them and writes this file
(`UPDATE_DOCS=1 script/test crm/tests/test_indexes.py`); an index without a query fails there, as does one that its
query does not use or whose query reads a whole big table.
"""
