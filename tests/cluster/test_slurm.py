import os, time
import pytest
import real_slurm
@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    if reason := real_slurm.impossible():
        pytest.skip(reason)
    with real_slurm.cluster(tmp_path_factory.mktemp("slurm")):
        yield
def test_up(cluster):
    if os.environ.get("HOLD"):
        time.sleep(float(os.environ["HOLD"]))
