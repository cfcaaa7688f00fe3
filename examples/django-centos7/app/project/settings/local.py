"""Settings for development."""

from .common import *  # noqa: F403

SECRET_KEY = "development-secret-key"
DEBUG = True
ALLOWED_HOSTS = ["*"]
