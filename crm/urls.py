"""Every address of the desk, without trailing slashes."""

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("accounts.urls")),
    path("", include("leads.urls")),
    path("", include("followups.urls")),
    path("", include("performance.urls")),
    path("admin/", admin.site.urls),
]

handler400 = "crm.errors.bad_request"
handler500 = "crm.errors.server_error"

if settings.DEBUG:
    from debug_toolbar.toolbar import debug_toolbar_urls

    urlpatterns += debug_toolbar_urls()
