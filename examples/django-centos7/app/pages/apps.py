"""The only app."""

from django.apps import AppConfig


class PagesConfig(AppConfig):
    """A page that counts its visits."""

    name = "pages"
