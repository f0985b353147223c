"""The configuration of the app."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["WebhooksConfig"]


class WebhooksConfig(AppConfig):
    """The app, with the label `pinstripe`."""

    name = "pinstripe.webhooks.django"
    label = "pinstripe"
    verbose_name = "Stripe webhooks"
