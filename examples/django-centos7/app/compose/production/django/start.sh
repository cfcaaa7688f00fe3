#!/bin/sh
set -e

# manage.py would take the settings for development.
export DJANGO_SETTINGS_MODULE=project.settings.production

python3 manage.py migrate --noinput
python3 manage.py collectstatic --noinput
mkdir -p static/media

# exec: gunicorn gets the signals, and stops when the container shall. --preload: what is broken ends it at once, and is the
# last thing in the log.
exec gunicorn project.wsgi:application --preload --workers "${WEB_CONCURRENCY:-2}" --worker-class gthread --threads 4 \
	--bind 0.0.0.0:8000 --worker-tmp-dir /dev/shm --access-logfile - --chdir /app
