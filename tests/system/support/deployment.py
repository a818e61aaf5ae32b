"""A deployment on this machine, run by scripts/deploy_services.sh: a configuration folder, a folder to run in, and
whatever the script has started there."""

import json
import os
import signal
import subprocess
import uuid

from . import http_wire, proc_tree
from .agent_process import AgentTest, port_pair, to_toml
from .daemon_process import BIN_DIR, SOURCE_DIR, clean_environment
from .waiting import patience, wait_until

SCRIPT = SOURCE_DIR / "scripts" / "deploy_services.sh"
MODEL = "Qwen3-32B"


class Deployment:
    """Paths have blanks in them. Every process that it starts carries `mark` in its environment."""

    def __init__(self, folder, services=("gpu 1", "gpu2")):
        self.home = folder / "a home"
        self.config = self.home / "con fig"
        self.run_dir = self.home / "run dir"
        self.config.mkdir(parents=True)
        self.mark = f"INFINILM_TEST_MARK={uuid.uuid4()}"
        self.registry_port = port_pair()
        self.router_port = self.registry_port + 1
        self.services = {name: port_pair() for name in services}
        self.script = SCRIPT
        self.write_all()

    # -- its files -----------------------------------------------------------------------------------------------------
    logs = property(lambda self: self.run_dir / "logs")

    def write_json(self, name, document):
        (self.config / name).write_text(json.dumps(document, indent=2))

    def write_all(self):
        self.write_json("registry_config.json", {"registry": {
            "port": self.registry_port, "host": "127.0.0.1", "health_interval": 1, "warming_time": 0}})
        self.write_json("router_config.json", {"router": {
            "port": self.router_port, "host": "127.0.0.1", "threads": 1, "drain_timeout": "3s", "health_interval": 1,
            "registry_url": f"http://127.0.0.1:{self.registry_port}"}})
        self.write_json("agent_config.json", {"agent": {"bind": "127.0.0.1"}})
        self.write_services()
        self.write_service_toml()

    def write_services(self):
        self.write_json("server1_services.json", {"services": [
            {"name": name, "host": "127.0.0.1", "port": port, "weight": 1} for name, port in self.services.items()]})

    def write_service_toml(self, name="service", agent=None, **backend):
        document = {"backend": {"type": "sim", "models": [MODEL], **backend},
                    "agent": {"drain_timeout": "3s", "stop_grace": "2s", "heartbeat_interval": "1s",
                              "probe_interval": "500ms", **(agent or {})}}
        (self.config / f"{name}.toml").write_text(to_toml(document))

    def pid_file(self, name):
        return self.logs / f"{name}.pid"

    def pid(self, name):
        return int(self.pid_file(name).read_text())

    def said_outside_of_logs(self):
        """{name: text} of what daemons printed and did not log: nothing, unless something went wrong."""
        return {path.stem: path.read_text() for path in self.logs.glob("*.err") if path.stat().st_size}

    # -- the script ----------------------------------------------------------------------------------------------------
    def environment(self, **extra):
        settings = {"INFINILM_BIN_DIR": str(BIN_DIR), "INFINILM_RUN_DIR": str(self.run_dir), **extra}
        return clean_environment(**dict([self.mark.split("=")]), **settings)

    def command(self, *arguments):
        return [str(self.script), "-c", str(self.config), *map(str, arguments)]

    def run(self, *arguments, env=None, timeout=90.0):
        """Runs the script from another folder. Returns the CompletedProcess, output as text, both streams in one."""
        return subprocess.run(self.command(*arguments), cwd="/", env=env or self.environment(), text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=patience(timeout), check=False)

    def spawn(self, *arguments):
        return subprocess.Popen(self.command(*arguments), cwd="/", env=self.environment(), text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def status(self):
        """The JSON of status."""
        return json.loads(self.run("status", "--json").stdout)

    # -- what it started -----------------------------------------------------------------------------------------------
    def processes(self):
        return proc_tree.marked(self.mark)

    def daemons(self):
        """{command's name: how many}, engines and shims left out."""
        counts = {}
        for item in self.processes():
            name = os.path.basename(os.path.realpath(f"/proc/{item.pid}/exe"))
            if name.startswith("infinilm-") and name != "infinilm-sim" and "--internal-shim" not in item.command:
                counts[name] = counts.get(name, 0) + 1
        return counts

    def ask(self, **fields):
        """A chat request through the router."""
        body = {"model": MODEL, "max_tokens": 2, "messages": [{"role": "user", "content": "hi"}], **fields}
        return http_wire.call(self.router_port, "POST", "/v1/chat/completions", json=body)

    def cleanup(self):
        """Stops everything; whatever is left after that is an error, and is killed."""
        try:
            self.run("stop-all", "--timeout", "20s")
            wait_until(lambda: not self.processes(), 10, "the end of all processes of the deployment")
        finally:
            for item in self.processes():
                try:
                    os.kill(item.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass


class DeploymentTest(AgentTest):
    """A test with deployments."""

    def new_deployment(self, **options):
        deployment = Deployment(self.folder / uuid.uuid4().hex[:6], **options)
        self.addCleanup(deployment.cleanup)
        return deployment

    def assert_runs(self, deployment, *arguments, code=0, timeout=90.0):
        """Runs the script; the exit code must be this. Returns the output."""
        done = deployment.run(*arguments, timeout=timeout)
        self.assertEqual(done.returncode, code, f"{arguments}:\n{done.stdout}")
        return done.stdout
