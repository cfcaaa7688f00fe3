"""The pages."""

import hashlib
import hmac
import sqlite3

import django
from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from .models import Visit


@require_safe
def home(request):
    """Counts the visit, and shows what serves it."""
    Visit.objects.create()
    context = {"visits": Visit.objects.count(), "django": django.get_version(), "sqlite": sqlite3.sqlite_version}
    return render(request, "pages/home.html", context)


@require_safe
def healthz(request):
    """Answers 200 once the database can be read and has its tables."""
    Visit.objects.exists()
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
def proof(request):
    """Shows that the secret key has arrived without showing it: whoever knows the key can compute the same."""
    code = hmac.new(settings.SECRET_KEY.encode(), b"provision", hashlib.sha256).hexdigest()
    return HttpResponse(code + "\n", content_type="text/plain")
