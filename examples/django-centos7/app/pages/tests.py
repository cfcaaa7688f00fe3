"""python3 manage.py test"""

import hashlib
import hmac

from django.test import TestCase, override_settings


class PagesTest(TestCase):
    """The pages as a visitor sees them."""

    def test_visits_are_counted(self):
        self.assertContains(self.client.get("/"), "Visit 1")
        self.assertContains(self.client.get("/"), "Visit 2")

    def test_healthy(self):
        self.assertEqual(self.client.get("/healthz").content, b"ok\n")

    @override_settings(SECRET_KEY="s3cret&key")
    def test_proof_needs_the_key(self):
        answer = self.client.get("/proof").content.decode().strip()
        self.assertEqual(answer, hmac.new(b"s3cret&key", b"provision", hashlib.sha256).hexdigest())
        self.assertNotIn("s3cret", answer)
