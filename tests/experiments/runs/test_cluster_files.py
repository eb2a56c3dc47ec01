"""The files of ``cluster/`` against Ray's own schema, KubeRay's fields, our requirements and our command line."""

import configparser
import re
import shlex
from pathlib import Path

import pytest
import yaml

from engine.cluster.options import PoolOptions
from experiments.cli.commands import evoprune

ROOT = Path(__file__).parents[3]
CLUSTER = ROOT / "cluster"
DOCUMENTS = [*sorted(CLUSTER.iterdir()), *sorted((ROOT / "docs").glob("cluster*.md"))]

JOB_FIELDS = {
    "entrypoint",
    "runtimeEnvYAML",
    "submissionMode",
    "backoffLimit",
    "shutdownAfterJobFinishes",
    "ttlSecondsAfterFinished",
    "rayClusterSpec",
}
CLUSTER_FIELDS = {
    "rayVersion",
    "authOptions",
    "enableInTreeAutoscaling",
    "autoscalerOptions",
    "headGroupSpec",
    "workerGroupSpecs",
}
HEAD_FIELDS = {"serviceType", "rayStartParams", "template"}
WORKER_FIELDS = {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}
AUTOSCALER_FIELDS = {"idleTimeoutSeconds", "upscalingMode", "resources", "securityContext", "env"}
"""Of KubeRay's ``ray.io/v1``, where a field of another name is refused or, worse, dropped."""


def commands():
    """Every command line in the files that calls evoprune, with the file it stands in."""
    for path in DOCUMENTS:
        text = re.sub(r"\\\n[# ]*", " ", path.read_text())
        if path.suffix == ".yaml":
            comments = [line for line in text.split("\n") if line.startswith("#")]
            text = "\n".join([*comments, entrypoint(path)])
        if options := re.search(r'OPTIONS="([^"]+)"', text):
            text = text.replace("$OPTIONS", options[1])
        for match in re.finditer(
            r"^.*?(?:evoprune|-m experiments\.cli\.main) ((?:search|resume) [^\n`']+)", text, re.M
        ):
            yield path.name, match[1]


def entrypoint(path):
    entry = yaml.safe_load(path.read_text())
    return entry.get("spec", {}).get("entrypoint", "")


def test_there_are_commands_to_check():
    assert {"ray-cluster.yaml", "rayjob.yaml", "ray-start.md", "cluster.md"} <= {name for name, _ in commands()}


@pytest.mark.parametrize(("name", "line"), list(commands()))
def test_commands_are_understood(name, line):
    words = shlex.split(line, comments=True)
    command = evoprune.get_command(None, words[0])
    context = command.make_context(words[0], words[1:])
    given = context.params
    if given["backend"] == "ray":
        PoolOptions(given["workers"], given["cpus_per_worker"], given["gpus_per_worker"], given["address"])


def requirements():
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "setup.cfg")
    return set(metadata["options"]["install_requires"].strip().split("\n"))


def test_jobs_get_all_requirements_that_nodes_do_not_bring():
    job = yaml.safe_load((CLUSTER / "rayjob.yaml").read_text())
    environments = [
        yaml.safe_load((CLUSTER / "runtime_env.yaml").read_text()),
        yaml.safe_load(job["spec"]["runtimeEnvYAML"]),
    ]
    for environment in environments:
        brought = requirements() - set(environment["pip"])
        assert {line.split(" ")[0] for line in brought} == {"jax", "ray"}
        assert set(environment["pip"]) <= requirements()


def test_ray_takes_the_environments_of_jobs():
    runtime_env = pytest.importorskip("ray.runtime_env")
    job = yaml.safe_load((CLUSTER / "rayjob.yaml").read_text())
    for entry in (
        yaml.safe_load((CLUSTER / "runtime_env.yaml").read_text()),
        yaml.safe_load(job["spec"]["runtimeEnvYAML"]),
    ):
        assert runtime_env.RuntimeEnv(**entry)["pip"]["packages"]


def test_ray_takes_the_launchers_file():
    """Ray's own schema, after its own defaults; nothing is asked of a cloud."""
    util = pytest.importorskip("ray.autoscaler._private.util")
    config = yaml.safe_load((CLUSTER / "ray-cluster.yaml").read_text())
    util.validate_config(util.prepare_config(config))
    config["no_such_field"] = 1
    with pytest.raises(Exception, match="no_such_field"):
        util.validate_config(util.prepare_config(config))


def test_the_launchers_cluster_is_closed_and_asks_for_a_token():
    config = yaml.safe_load((CLUSTER / "ray-cluster.yaml").read_text())
    [head_start] = [line for line in config["head_start_ray_commands"] if "ray start" in line]
    [worker_start] = [line for line in config["worker_start_ray_commands"] if "ray start" in line]
    assert "--dashboard-host=127.0.0.1" in head_start
    assert "RAY_AUTH_MODE=token" in head_start
    assert "RAY_AUTH_MODE=token" in worker_start
    assert "~/.ray/auth_token" in config["file_mounts"]
    assert "IpPermissions" not in config["provider"]["security_group"]


def test_the_job_is_of_the_form_that_kuberay_knows():
    job = yaml.safe_load((CLUSTER / "rayjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,45}[a-z0-9])?", job["metadata"]["name"])
    spec = job["spec"]
    assert set(spec) <= JOB_FIELDS
    cluster = spec["rayClusterSpec"]
    assert set(cluster) <= CLUSTER_FIELDS
    assert cluster["authOptions"] == {"mode": "token"}
    assert set(cluster["autoscalerOptions"]) <= AUTOSCALER_FIELDS
    head = cluster["headGroupSpec"]
    assert set(head) <= HEAD_FIELDS
    assert head["serviceType"] == "ClusterIP"
    for group in cluster["workerGroupSpecs"]:
        assert set(group) <= WORKER_FIELDS
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for group in (head, *cluster["workerGroupSpecs"]):
        # Kubernetes takes strings alone here, and an unquoted 0 is none.
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


def test_every_container_of_the_job_is_bounded_and_unprivileged():
    cluster = yaml.safe_load((CLUSTER / "rayjob.yaml").read_text())["spec"]["rayClusterSpec"]
    containers = [cluster["autoscalerOptions"]]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        containers += pod["containers"]
    for container in containers:
        assert container["securityContext"]["runAsNonRoot"]
        assert not container["securityContext"]["allowPrivilegeEscalation"]
        resources = container["resources"]
        assert {"cpu", "memory"} <= set(resources["limits"])
        assert resources["requests"] == resources["limits"]


def test_the_job_has_room_for_its_workers():
    spec = yaml.safe_load((CLUSTER / "rayjob.yaml").read_text())["spec"]
    words = shlex.split(spec["entrypoint"])
    given = evoprune.get_command(None, "search").make_context("search", words[words.index("search") + 1 :]).params
    [group] = spec["rayClusterSpec"]["workerGroupSpecs"]
    [container] = group["template"]["spec"]["containers"]
    gpus, cpus = (float(container["resources"]["limits"][name]) for name in ("nvidia.com/gpu", "cpu"))
    per_node = min(gpus // given["gpus_per_worker"], cpus // given["cpus_per_worker"])
    assert group["replicas"] * per_node >= given["workers"]


def test_what_is_not_code_stays_behind(tmp_path):
    packaging = pytest.importorskip("ray._private.runtime_env.packaging")
    tree = tmp_path / "tree"
    for name in (".git/HEAD", ".venv/lib/a.py", "data/a.npz", "small-run/run.json", "engine/__pycache__/a.pyc"):
        (tree / name).parent.mkdir(parents=True)
        (tree / name).write_text("not code")
    for name in ("engine/cluster/pool.py", "small/model.json", "setup.cfg"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("wanted")
    for name in (".rayignore", ".gitignore"):
        (tree / name).write_text((ROOT / name).read_text())
    taken = set()
    excludes = []
    packaging._dir_travel(
        tree,
        excludes,
        lambda path: path.is_file() and taken.add(str(path.relative_to(tree))),
        include_gitignore=True,
    )
    assert taken == {".gitignore", ".rayignore", "engine/cluster/pool.py", "setup.cfg", "small/model.json"}
