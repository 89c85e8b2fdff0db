"""uv does not read pip's configuration: hand over where packages come from, so that both look there."""

import ast
from pathlib import Path
from urllib.parse import unquote, urlparse

# From the weakest to the strongest, as pip itself ranks them.
_SECTIONS = ("global", "install", ":env:")


def for_uv(pip_config_list: str) -> dict[str, str]:
    """`pip config list` as environment variables of uv."""
    pip = _settings(pip_config_list)
    found = {
        "UV_DEFAULT_INDEX": pip.get("index-url", ""),
        "UV_INDEX": " ".join(url for url in pip.get("extra-index-url", "").split() if _is_there(url)),
        "UV_FIND_LINKS": ",".join(place for place in pip.get("find-links", "").split() if _is_there(place)),
        "UV_NO_INDEX": "1" if pip.get("no-index", "").lower() in ("1", "true", "yes", "on") else "",
        "UV_INSECURE_HOST": " ".join(pip.get("trusted-host", "").split()),
        "UV_HTTP_TIMEOUT": pip.get("default-timeout", pip.get("timeout", "")),
        "SSL_CERT_FILE": pip.get("cert", ""),
        "SSL_CLIENT_CERT": pip.get("client-cert", ""),
        "HTTPS_PROXY": pip.get("proxy", ""),
        "HTTP_PROXY": pip.get("proxy", ""),
        # pip takes the best version of all indexes; by default uv stops at the first that knows the name.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
    return {name: value for name, value in found.items() if value}


def _settings(pip_config_list: str) -> dict[str, str]:
    ranked: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for line in pip_config_list.splitlines():
        key, separator, quoted = line.partition("=")
        section, _, name = key.strip().rpartition(".")
        if not separator or section not in ranked:
            continue
        try:
            ranked[section][name.replace("_", "-")] = str(ast.literal_eval(quoted))
        except (SyntaxError, ValueError):
            continue
    return {name: value for section in _SECTIONS for name, value in ranked[section].items()}


def _is_there(place: str) -> bool:
    """pip passes over a local directory that does not exist; uv stops."""
    parsed = urlparse(place)
    if parsed.scheme == "file":
        return Path(unquote(parsed.path)).exists()
    return bool(parsed.scheme) or Path(place).exists()
