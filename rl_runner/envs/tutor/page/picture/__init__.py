"""The tutor's page as a picture.

============= =====================================================================================
``layout``    the position of each part of the page
``header``    the learner, the steps taken and the return
``dashboard`` the learner's progress; below it the recommended path or the summary
``chat``      the conversation and the agent's actions
``library``   the modules and their states
``tracker``   progress and knowledge by topic
``shapes``    colours and type sizes, cards, icons and check marks
``canvas``    smooth shapes and measured text
============= =====================================================================================
"""
