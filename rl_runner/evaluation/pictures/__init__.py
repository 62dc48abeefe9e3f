"""Videos of episodes, maps of policies, plots of comparisons.

- :mod:`.recording`, :mod:`.video_files`: `rl record`: episodes as videos and strips
- :mod:`.window`: `rl watch`: episodes in a window
- :mod:`.grid_policies`, :mod:`.policy_maps`: policies on the map of a grid world
- :mod:`.comparison_plots`, :mod:`.band_plots`: the plots of `rl compare`
"""
