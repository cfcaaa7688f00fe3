"""What the database holds."""

from django.db import models


class Visit(models.Model):
    """One request for the front page."""

    at = models.DateTimeField(auto_now_add=True)
