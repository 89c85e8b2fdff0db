"""The desk's own settings and middleware over the empty views of stock Django, for gunicorn."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "crm.settings"
settings.ROOT_URLCONF = "performance.benchmark.stock_urls"

application = get_wsgi_application()
