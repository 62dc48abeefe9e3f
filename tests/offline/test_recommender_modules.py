from pathlib import Path

from rl_runner import offline


def test_the_recommender_enters_only_where_the_package_says():
    root = Path(offline.__file__).parent
    importing = {
        ".".join(path.relative_to(root).with_suffix("").parts)
        for path in root.rglob("*.py")
        if "rl_runner.envs.recommender" in path.read_text(encoding="utf-8")
    }
    named = " ".join((offline.__doc__ or "").split()).partition("in these modules only:")[2]
    listed = named.replace("``", "").replace(" and ", ", ").strip(" .")
    assert importing == set(listed.split(", "))
