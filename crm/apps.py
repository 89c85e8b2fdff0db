"""Puts the desk's admin site in the place of Django's."""

from django.contrib.admin.apps import AdminConfig


class DeskAdminConfig(AdminConfig):
    default_site = "crm.admin_site.DeskAdminSite"
