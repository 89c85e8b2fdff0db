"""Stock Django, for gunicorn."""

import os

from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "performance.benchmark.stock_settings"

application = get_wsgi_application()
