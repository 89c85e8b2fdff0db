"""The supervisors' admin: Django's own, under the desk's name."""

from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig


class DeskAdminSite(AdminSite):
    site_header = "Lead desk"
    site_title = "Lead desk"
    index_title = "Supervision"
    site_url = "/"


class DeskAdminConfig(AdminConfig):
    default_site = "crm.admin_site.DeskAdminSite"
