"""Settings for the server. What is secret comes from the environment, which compose fills from .envs/.production."""

import os

from .common import *  # noqa: F403

SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]
DEBUG = False
# The health check of the container asks for 127.0.0.1.
ALLOWED_HOSTS = ["127.0.0.1", "localhost", *filter(None, os.environ.get("DJANGO_ALLOWED_HOSTS", "").split(","))]

# nginx says whether the visitor came by https.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
