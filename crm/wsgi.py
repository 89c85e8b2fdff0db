"""What gunicorn serves."""

import os
from typing import Any

import django
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")


class DeskRequest(WSGIRequest):
    """Reads what any client may say of its text: Python knows codecs that are none, and Django tries them all.

    The desk's text is UTF-8. Whatever else it is called is read as Latin-1, which reads anything; a form in it is
    refused in words where it is read.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        if self.content_params.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
            self.encoding = "latin-1"


class DeskHandler(WSGIHandler):
    request_class = DeskRequest


django.setup(set_prefix=False)
application = DeskHandler()
