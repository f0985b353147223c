"""The tables of `DjangoStore`; see `pinstripe.webhooks._rows` for what is in them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from pinstripe.webhooks._rows import EVENTS, ID_LENGTH, SUBJECTS, TOKEN_LENGTH

__all__ = ["WebhookEvent", "WebhookSubject"]


class WebhookEvent(models.Model):
    """An event that is claimed or done."""

    id: models.CharField[str, str] = models.CharField(primary_key=True, max_length=ID_LENGTH)
    token: models.CharField[str, str] = models.CharField(max_length=TOKEN_LENGTH)
    done: models.BooleanField[bool, bool] = models.BooleanField()
    ends: models.FloatField[float, float] = models.FloatField()

    class Meta:
        """Where it is."""

        db_table = EVENTS
        indexes: ClassVar = [models.Index(fields=["ends"], name="pinstripe_events_ends")]

    def __str__(self) -> str:
        return self.id


class WebhookSubject(models.Model):
    """An object whose newest handled event is recorded."""

    id: models.CharField[str, str] = models.CharField(primary_key=True, max_length=ID_LENGTH)
    newest: models.FloatField[float, float] = models.FloatField()
    ends: models.FloatField[float, float] = models.FloatField()

    class Meta:
        """Where it is."""

        db_table = SUBJECTS
        indexes: ClassVar = [models.Index(fields=["ends"], name="pinstripe_subjects_ends")]

    def __str__(self) -> str:
        return self.id
