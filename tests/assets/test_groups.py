"""Groups follow one another: between two groups, lineage runs in one direction only."""

from graphlib import TopologicalSorter

from orchestration.definitions import defs


def test_no_arrow_runs_backwards_between_groups():
    graph = defs.resolve_asset_graph()
    parents: dict[str, set[str]] = {}
    for key in graph.get_all_asset_keys():
        group = graph.get(key).group_name
        origins = {graph.get(parent).group_name for parent in graph.get(key).parent_keys}
        parents.setdefault(group, set()).update(origins - {group})
    TopologicalSorter(parents).prepare()  # raises if there is a cycle
    assert not parents["sources"]
    assert not any("operations" in origins for origins in parents.values())


def test_every_asset_has_the_version_of_its_code():
    graph = defs.resolve_asset_graph()
    without = [key for key in graph.get_all_asset_keys() if not graph.get(key).code_version]
    assert without == []
