"""A run is launched with options in place of settings; assets ask for parts of the installation."""

import dagster as dg
import pytest
from installations import storage_settings
from small_installation import HELD, SmallInstallation

from genept.client.platform import Platform
from genept.common.settings import Settings
from orchestration.definitions import build_defs
from orchestration.resources import PARTS, resources_of


@pytest.fixture(scope="module")
def installation(tmp_path_factory, object_store):
    """An installation with two collections; refused runs come first, so nothing is released."""
    storage = storage_settings(object_store)
    with dg.instance_for_test() as instance:
        yield SmallInstallation(tmp_path_factory.mktemp("resources"), instance, **storage)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"collections": ["nowhere"]}, "nowhere"),
        ({"max_genes": 0}, "max_genes: Input should be greater than or equal to 1"),
        ({"restricted": "perhaps"}, "restricted: Input should be 'keep', 'leave_out' or 'refuse'"),
    ],
)
def test_options_that_are_not_possible_fail_the_run_with_the_reason(installation, options, reason):
    job = installation.defs.resolve_job_def("release")
    result = job.execute_in_process(
        instance=installation.instance, run_config=options, raise_on_error=False
    )
    assert not result.success
    messages = [str(event.event_specific_data) for event in result.all_events if event.is_failure]
    assert any(reason in message for message in messages)
    assert installation.releases.current_id() is None


@pytest.mark.slow
def test_a_run_builds_what_its_options_name_and_the_settings_do_not(installation):
    first, _ = HELD
    job = installation.defs.resolve_job_def("release")
    options = {"collections": [first], "sentences_per_collection": 0}
    result = job.execute_in_process(
        instance=installation.instance, run_config=options, raise_on_error=False
    )
    assert result.success
    manifest = installation.releases.current()
    assert manifest.limits["collections"] == [first]


@pytest.mark.slow
def test_models_are_retrained_by_the_options_of_the_launchpad(installation):
    job = installation.defs.resolve_job_def("retraining")
    assert job.partitions_def is None
    assert job.execute_in_process(
        instance=installation.instance, run_config={"full_models": True}, raise_on_error=False
    ).success


def test_every_part_is_that_of_the_installation(tmp_path):
    platform = Platform(Settings(state_dir=tmp_path))
    with dg.build_resources({**resources_of(platform)}) as resources:
        assert resources.archives is platform.archives
    assert set(PARTS) <= set(resources_of(platform))


def test_the_launchpad_describes_each_option_of_a_job_and_of_a_single_asset():
    schema = build_defs().resolve_job_def("release").config_mapping.config_schema
    fields = schema.config_type.fields
    assert "GENEPT_COLLECTIONS" in fields["collections"].description
    platform = build_defs().get_repository_def().get_top_level_resources()["platform"]
    assert set(platform.config_schema.config_type.fields) == set(fields)
