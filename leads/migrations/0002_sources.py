"""The pairs of source and sub-source that the dealer's leads come from; supervisors add to them in the admin."""

from typing import Any

from django.db import migrations

PAIRS = {
    "M": [("META", "Meta Know"), ("META", "Meta")],
    "G": [("GOOGLE", "Google Know")],
    "B": [("BTL", "BTL Know")],
    "O": [
        ("OEM", "Web"),
        ("OEM", "Tele"),
        ("OEM", "Affiliate Bikewale"),
        ("OEM", "Affiliate Bikedekho"),
        ("OEM", "Affiliate 91 Wheels"),
    ],
}


def add(apps: Any, schema_editor: Any) -> None:
    source = apps.get_model("leads", "Source")
    for letter, pairs in PAIRS.items():
        for name, sub_name in pairs:
            source.objects.get_or_create(source=name, sub_source=sub_name, defaults={"letter": letter})


class Migration(migrations.Migration):
    dependencies = [("leads", "0001_initial")]

    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
