"""Adapters: the route of a web framework that hands deliveries to a `pinstripe.webhooks.Router`.

Each module is for one framework, and imports that framework only. An adapter reads the raw body,
no further than `Webhook.max_bytes` allows, and answers with the status of the `Receipt`; any other
method than POST is answered with 405. It reads through the framework, so middleware may read the
body too. A body that is compressed or declared too long is refused before it is read, and aiohttp
and ASGI servers end the connection; WSGI gives an app no way to.

aiohttp:

```python
from aiohttp import web
from pinstripe.adapters.aiohttp import webhook_handler
from pinstripe.webhooks import Router, Webhook

router = Router(Webhook("whsec_of_your_endpoint"))
app = web.Application()
app.router.add_post("/webhook", webhook_handler(router))
```

FastAPI and Starlette; any other framework can route to this ASGI app too:

```python
from fastapi import FastAPI
from pinstripe.adapters.asgi import WebhookApp
from pinstripe.webhooks import Router, Webhook
from starlette.routing import Route

router = Router(Webhook("whsec_of_your_endpoint"))
app = FastAPI()
app.router.routes.append(Route("/webhook", WebhookApp(router)))
```

Django, under ASGI; `blocking_webhook_view` is for WSGI:

```python
from django.urls import path
from pinstripe.adapters.django import webhook_view
from pinstripe.webhooks import Router, Webhook

router = Router(Webhook("whsec_of_your_endpoint"))
urlpatterns = [path("webhook", webhook_view(router))]
```

Flask:

```python
from flask import Flask
from pinstripe.adapters.flask import webhook_view
from pinstripe.webhooks import Router, Webhook

router = Router(Webhook("whsec_of_your_endpoint"))
app = Flask(__name__)
app.add_url_rule("/webhook", view_func=webhook_view(router))
```

WSGI without a framework:

```python
from pinstripe.adapters.wsgi import WebhookApp
from pinstripe.webhooks import Router, Webhook

app = WebhookApp(Router(Webhook("whsec_of_your_endpoint")))
```

**Under WSGI** coroutine functions run on the event loop of the blocking clients, so that an
`AsyncClient` keeps its connections from one delivery to the next. Plain functions run in the thread
of their request, with its database connection.
"""

# A star import of every adapter would import every framework.
__all__ = ()
