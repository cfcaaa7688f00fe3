#!/usr/bin/env python3
"""Django's command line. It uses the settings for development unless DJANGO_SETTINGS_MODULE names others."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings.local")
    execute_from_command_line(sys.argv)
