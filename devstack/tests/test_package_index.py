"""uv looks for packages where pip would."""

from pathlib import Path

from devstack.package_index import for_uv


def test_nothing_configured() -> None:
    assert for_uv("") == {"UV_INDEX_STRATEGY": "unsafe-best-match"}


def test_each_setting_has_its_name_in_uv() -> None:
    listed = """\
global.index-url='https://user:p%40ss@index.example/simple'
global.extra-index-url='https://a.example/simple\\nhttps://b.example/simple'
global.trusted-host='index.example a.example'
global.cert='/etc/ssl/own.pem'
global.client-cert='/etc/ssl/me.pem'
global.proxy='http://proxy.example:3128'
global.timeout='60'
install.no-index='true'
"""
    assert for_uv(listed) == {
        "UV_DEFAULT_INDEX": "https://user:p%40ss@index.example/simple",
        "UV_INDEX": "https://a.example/simple https://b.example/simple",
        "UV_INSECURE_HOST": "index.example a.example",
        "UV_NO_INDEX": "1",
        "UV_HTTP_TIMEOUT": "60",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "SSL_CERT_FILE": "/etc/ssl/own.pem",
        "SSL_CLIENT_CERT": "/etc/ssl/me.pem",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "HTTP_PROXY": "http://proxy.example:3128",
    }


def test_the_environment_beats_the_section_beats_global() -> None:
    listed = ":env:.index-url='https://env'\nglobal.index-url='https://global'\ninstall.index-url='https://install'"
    assert for_uv(listed)["UV_DEFAULT_INDEX"] == "https://env"
    assert for_uv(listed.partition("\n")[2])["UV_DEFAULT_INDEX"] == "https://install"


def test_local_directories_that_are_not_there_are_left_out(tmp_path: Path) -> None:
    there = tmp_path / "with space"
    there.mkdir()
    url = there.as_uri()
    found = for_uv(f"global.extra-index-url='file:///not/there {url}'\nglobal.find-links='/not/there {tmp_path}'")
    assert found["UV_INDEX"] == url
    assert found["UV_FIND_LINKS"] == str(tmp_path)


def test_what_is_no_setting_is_passed_over() -> None:
    assert for_uv("WARNING: something\nglobal.index-url=not quoted\nfreeze.index-url='x'") == for_uv("")
