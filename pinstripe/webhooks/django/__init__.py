"""The app of Django with the tables of `DjangoStore` and their migration.

    INSTALLED_APPS = [..., "pinstripe.webhooks.django"]

Then `python manage.py migrate` creates them; `--database` names another one than the default. Its
label is `pinstripe`.
"""
