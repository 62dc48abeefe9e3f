"""Links to experiments under names for people."""

from pathlib import Path

from synthetic_experiments import write_experiment

from rl_runner.runs.labelled_links import labelled_folders, update_links, what_differs


def test_experiments_are_called_by_their_names_and_by_what_differs(tmp_path: Path):
    one = write_experiment(tmp_path, "cart", [1.0])
    other = write_experiment(tmp_path, "cart", [1.0], total_timesteps=2000)
    alone = write_experiment(tmp_path, "lake", [1.0])
    (tmp_path / "a-study" / "trials").mkdir(parents=True)
    assert labelled_folders(tmp_path) == {
        "cart total_timesteps=1,000": one,
        "cart total_timesteps=2,000": other,
        "lake": alone,
        "a-study": tmp_path / "a-study",
    }


def test_a_config_that_cannot_be_read_keeps_its_folder_name(tmp_path: Path):
    path = write_experiment(tmp_path, "cart", [1.0])
    (path / "config.yaml").write_text("{", encoding="utf-8")
    assert labelled_folders(tmp_path) == {path.name: path}


def test_a_name_that_a_folder_has_already_is_not_taken(tmp_path: Path):
    path = write_experiment(tmp_path, "cart", [1.0])
    (tmp_path / "cart").mkdir()
    assert labelled_folders(tmp_path) == {path.name: path, "cart": tmp_path / "cart"}


def test_links_follow_what_is_there(tmp_path: Path):
    runs, links = tmp_path / "runs", tmp_path / "links"
    links.mkdir()
    one = write_experiment(runs, "cart", [1.0])
    update_links(runs, links)
    assert [link.name for link in links.iterdir()] == ["cart"]
    assert (links / "cart" / "seed-0" / "run.json").is_file()
    other = write_experiment(runs, "cart", [1.0], total_timesteps=2000)
    update_links(runs, links)
    assert {link.name: link.resolve() for link in links.iterdir()} == {
        "cart total_timesteps=1,000": one,
        "cart total_timesteps=2,000": other,
    }
    update_links(tmp_path / "gone", links)
    assert len(list(links.iterdir())) == 2


def test_only_experiments_of_the_same_name_differ(tmp_path: Path):
    one = write_experiment(tmp_path, "cart", [1.0])
    other = write_experiment(tmp_path, "cart", [1.0], total_timesteps=2000)
    alone = write_experiment(tmp_path, "lake", [1.0])
    assert what_differs([one, other, alone, tmp_path / "gone"]) == {
        one: "total_timesteps=1,000",
        other: "total_timesteps=2,000",
    }
    assert what_differs([one, alone]) == {}
