"""The first tables."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Creates both."""

    initial = True
    operations: ClassVar = [
        migrations.CreateModel(
            name="WebhookEvent",
            fields=[
                ("id", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("token", models.CharField(max_length=64)),
                ("done", models.BooleanField()),
                ("ends", models.FloatField()),
            ],
            options={
                "db_table": "pinstripe_events",
                "indexes": [models.Index(fields=["ends"], name="pinstripe_events_ends")],
            },
        ),
        migrations.CreateModel(
            name="WebhookSubject",
            fields=[
                ("id", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("newest", models.FloatField()),
                ("ends", models.FloatField()),
            ],
            options={
                "db_table": "pinstripe_subjects",
                "indexes": [models.Index(fields=["ends"], name="pinstripe_subjects_ends")],
            },
        ),
    ]
