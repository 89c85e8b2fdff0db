"""The tests of leads; what several of them share explains its asserts as they do."""

import pytest

pytest.register_assert_rewrite("leads.tests.statuses", "leads.tests.typed")
