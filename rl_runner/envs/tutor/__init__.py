"""The tutor of African music creatives: its learners, its page and its course."""
