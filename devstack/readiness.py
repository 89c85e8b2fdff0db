"""Asks the desk's /readyz, in the background, whether web, database, Redis and worker are all there."""

import http.client
import json
import threading
import time
from collections.abc import Mapping
from urllib.parse import urlsplit


class Readiness:
    def __init__(self, port: int, environment: Mapping[str, str]) -> None:
        site = urlsplit(environment["SITE_URL"])
        allowed = environment.get("ALLOWED_HOSTS", "").split(",")[0].strip().lstrip(".")
        # Asked on the loopback, but by a name that the desk answers to, as a proxy that ends TLS would.
        self._headers = {"Host": allowed or site.netloc, "X-Forwarded-Proto": site.scheme}
        self._port = port
        self.ready = False
        self.answer = ""
        # An answer may take seconds while the worker is missing; whoever waits has to stay open to Ctrl-C.
        threading.Thread(target=self._ask_until_ready, daemon=True).start()

    def _ask_until_ready(self) -> None:
        while not self.ready:
            self._ask()
            time.sleep(0.05)

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request("GET", "/readyz", headers=self._headers)
            answer = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            return
        finally:
            connection.close()
        self.answer = json.dumps(answer)
        self.ready = isinstance(answer, dict) and answer.get("state") == "ready"
