"""The tutor's page as a picture."""
