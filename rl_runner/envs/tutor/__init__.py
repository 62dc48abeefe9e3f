"""``Tutor-v0``: an agent tutors African music creatives in the business of music.

============= =====================================================================================
``env``       one learner, as a Gymnasium ``Env``
``vector``    many learners, as a Gymnasium ``VectorEnv``
``options``   what a user may choose, checked
``simulator`` the learner model and its transition kernel, compiled
``planning``  baselines, from rules to the exact optimum
``page``      what a person would see: the platform's page as a picture or as text
============= =====================================================================================
"""
