"""What holds for the project as a whole: addresses, templates, constraints, tasks, and that every test is run."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.db.models import CheckConstraint, Field, Q
from django.template.loader import get_template
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.tests import test_models as people
from accounts.tests.constraints import declared
from crm.celery import app as celery
from followups.tests import test_constraints as followups
from leads.tests import test_constraints as leads
from performance.tests import test_constraints as performance

ROOT = Path(settings.BASE_DIR)
OURS = [config.label for config in apps.get_app_configs() if Path(config.path).parent == ROOT]
# Whom these serve cannot be signed in.
PUBLIC = {"login", "healthz", "readyz"}


def addresses(patterns: list[URLPattern | URLResolver], prefix: str = "/") -> Iterator[tuple[str, URLPattern]]:
    """Our own addresses, with something in the place of each argument."""
    for pattern in patterns:
        part = str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if pattern.namespace is None:
                yield from addresses(pattern.url_patterns, prefix + part)
        else:
            part = part.replace("<uuid:job>", "00000000-0000-4000-8000-000000000000")
            filled = "".join(
                piece.split(">")[-1] if ">" in piece else piece for piece in part.replace("<", "x<").split("<")
            )
            yield prefix + filled, pattern


ADDRESSES = dict(addresses(get_resolver().url_patterns))


def test_the_apps_are_ours() -> None:
    assert OURS == ["accounts", "followups", "leads", "performance"]


def test_the_addresses_that_others_depend_on_are_there() -> None:
    expected = {
        "/login",
        "/logout",
        "/add_lead",
        "/add_lead_optimized",
        "/check_duplicate_lead",
        "/cre_dashboard",
    }
    expected |= {"/ps_dashboard", "/lead/x", "/healthz", "/readyz"}
    assert expected <= set(ADDRESSES)


def test_no_address_ends_with_a_slash_and_each_has_a_name() -> None:
    assert [address for address in ADDRESSES if address.endswith("/") and address != "/"] == []
    assert [address for address, pattern in ADDRESSES.items() if not pattern.name] == []


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_a_stranger_is_sent_to_sign_in(client: Client, db: None, address: str, method: str) -> None:
    pattern = ADDRESSES[address]
    response = getattr(client, method)(address)
    if response.status_code == 405:
        assert pattern.name in {*PUBLIC, "logout"}
    elif pattern.name == "metrics":
        assert response.status_code == 404  # as long as no token is set
    elif pattern.name in PUBLIC:
        assert response.status_code in (200, 503)
    elif getattr(pattern.callback, "answers_json", False):
        assert response.status_code == 401
        assert response.json()["success"] is False
    else:
        assert response.status_code == 302
        assert response["Location"].startswith("/login")


def test_a_stranger_is_sent_to_sign_in_by_the_admin_too(client: Client, db: None) -> None:
    assert client.get("/admin/").status_code == 302
    assert client.get("/admin/leads/leadmaster/").status_code == 302


def test_every_template_can_be_read() -> None:
    folder = ROOT / "templates"
    names = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix in (".html", ".txt")]
    assert len(names) > 15
    for name in names:
        get_template(name)


def chosen_fields() -> "list[Field[object, object]]":
    models = [model for app in OURS for model in apps.get_app_config(app).get_models()]
    return [field for model in models for field in model._meta.concrete_fields if field.choices]


def held_to(condition: Q, name: str) -> Iterator[set[str]]:
    """The values to which a check holds the field, if it does."""
    for child in condition.children:
        if isinstance(child, Q):
            yield from held_to(child, name)
        elif isinstance(child, tuple) and child[0] == f"{name}__in":
            yield {str(value) for value in child[1]}


@pytest.mark.parametrize("field", chosen_fields(), ids=str)
def test_a_field_with_choices_is_held_to_them_by_the_database(field: "Field[object, object]") -> None:
    checks = [check for check in field.model._meta.constraints if isinstance(check, CheckConstraint)]
    held = [
        values for check in checks if isinstance(check.condition, Q) for values in held_to(check.condition, field.name)
    ]
    choices = {str(value) for value, _ in field.flatchoices} | ({""} if field.blank else set())
    assert choices in held


def test_there_are_fields_with_choices_to_hold() -> None:
    assert len(chosen_fields()) > 12


def test_every_constraint_was_tried() -> None:
    tried = {case.constraint for case in (*people.CASES, *leads.CASES, *followups.CASES, *performance.CASES)}
    assert tried | {"accounts_user_branch_given"} == set(declared(*OURS))


def test_every_nudge_of_beat_is_a_task_that_workers_know() -> None:
    celery.loader.import_default_modules()
    nudges = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert nudges
    assert nudges <= set(celery.tasks)


def python_files() -> list[Path]:
    skipped = {".venv", "var", "node_modules", ".git"}
    return [path for path in ROOT.rglob("*.py") if not skipped & set(path.relative_to(ROOT).parts)]


def has_tests(path: Path) -> bool:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return any(isinstance(part, ast.FunctionDef) and part.name.startswith("test_") for part in body)


def test_every_file_with_tests_is_collected() -> None:
    """A file that is named otherwise, or lies in a folder that is no package, is passed over in silence."""
    files = python_files()
    tests = [path for path in files if has_tests(path)]
    assert len(files) > 80
    assert len(tests) > 20
    for path in tests:
        assert path.name.startswith("test_"), path
        assert path.parent.name == "tests", path
        assert (path.parent / "__init__.py").exists(), path


def test_every_file_that_looks_like_a_test_has_one() -> None:
    hollow = [path for path in python_files() if path.name.startswith("test_") and not has_tests(path)]
    assert hollow == []


def test_no_test_is_hidden_by_another_of_the_same_name() -> None:
    for path in filter(has_tests, python_files()):
        names = [part.name for part in ast.parse(path.read_text("utf-8")).body if isinstance(part, ast.FunctionDef)]
        assert len(names) == len(set(names)), path
