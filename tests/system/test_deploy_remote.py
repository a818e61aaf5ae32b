"""deploy_services.sh deploy-remote, with an ssh and an rsync that lead to folders of this machine."""

import json
import os
import stat

from support.case import main
from support.daemon_process import SOURCE_DIR
from support.deployment import DeploymentTest

# Both write down how they were called. A host is a folder below $HOSTS, which is the home of its user; without one it is
# down. Files are linked and not copied: binaries with debug information are large.
_SSH = r"""#!/bin/bash
set -euo pipefail
printf '%s\n' "ssh $*" >>"$HOSTS/calls"
while [[ $1 != -- ]]; do shift; done
host=$2 command=$3
[[ -d $HOSTS/$host ]] || { echo "ssh: connect to host $host port 22: No route to host" >&2; exit 255; }
cd "$HOSTS/$host"
unset INFINILM_BIN_DIR INFINILM_RUN_DIR
exec bash -c "$command"
"""
_RSYNC = r"""#!/bin/bash
set -euo pipefail
printf '%s\n' "rsync $*" >>"$HOSTS/calls"
while [[ $1 != -- ]]; do shift; done
shift
to=${*: -1}
folder=$HOSTS/${to%%:*}/${to#*:}
[[ -d $folder ]] || { echo "rsync: mkdir failed" >&2; exit 11; }
[[ ! -e $HOSTS/${to%%:*}/full ]] || { echo "rsync: write failed: No space left on device (28)" >&2; exit 11; }
for from in "${@:1:$#-1}"; do
  if [[ $from == */ ]]; then cp -r "$from." "$folder"; else cp -lf "$from" "$folder" 2>/dev/null || cp "$from" "$folder"; fi
done
"""


class DeployRemote(DeploymentTest):
    def setUp(self):
        super().setUp()
        self.home = self.new_deployment(services=("gpu1",))
        self.hosts = self.folder / "the hosts"
        self.hosts.mkdir()
        tools = self.folder / "tools"
        tools.mkdir()
        for name, text in (("ssh", _SSH), ("rsync", _RSYNC)):
            (tools / name).write_text(text)
            (tools / name).chmod((tools / name).stat().st_mode | stat.S_IXUSR)
        self.env = self.home.environment(PATH=f"{tools}:{os.environ['PATH']}", HOSTS=str(self.hosts))

    def add_hosts(self, *names):
        for name in names:
            (self.hosts / name).mkdir()

    def deploy(self, *arguments, code=0, env=None):
        done = self.home.run("deploy-remote", *arguments, env=env or self.env, timeout=120)
        self.assertEqual(done.returncode, code, done.stdout)
        return done.stdout

    def calls(self):
        path = self.hosts / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def stop(self, host, folder="infinilm"):
        script = self.hosts / host / folder / "scripts" / "deploy_services.sh"
        if script.exists():
            self.home.script = script
            env = self.home.environment()
            del env["INFINILM_BIN_DIR"], env["INFINILM_RUN_DIR"]
            self.home.run("stop-all", env=env)

    def test_each_host_gets_its_parts(self):
        self.add_hosts("head", "root@gpu.example")
        for host in ("head", "root@gpu.example"):
            self.addCleanup(self.stop, host)
        said = self.deploy("head=registry,router", "root@gpu.example=services", "--jobs", "1")
        self.assertEqual(self.home.daemons(), {"infinilm-registry": 1, "infinilm-router": 1, "infinilm-agent": 1})
        self.assertEqual(self.home.ask().status, 200)
        table = said[said.index("HOST"):]
        self.assertRegex(table, r"HOST +RESULT +LAST LINE\n"
                                r"head +started +router: ready: .*\n"
                                r"root@gpu.example +started +gpu1: ready: running\n$")
        remote = self.hosts / "head" / "infinilm"
        self.assertTrue((remote / "logs" / "registry.log").exists(), "all of a host is in one folder")
        self.assertEqual(json.loads((remote / "deployment_configs" / "server1_services.json").read_text()),
                         json.loads((self.home.config / "server1_services.json").read_text()))
        first = (remote / "logs" / "registry.pid").read_text()
        self.deploy("head=registry,router")
        self.assertEqual((remote / "logs" / "registry.pid").read_text(), first, "what runs is left alone")
        self.deploy("head=registry", "--restart")
        self.assertNotEqual((remote / "logs" / "registry.pid").read_text(), first)

    def test_hosts_that_fail_are_named_and_do_not_stop_the_others(self):
        self.add_hosts("good", "full", "bad")
        (self.hosts / "full" / "full").touch()
        self.addCleanup(self.stop, "good")
        self.home.write_json("router_config.json", {"router": {"prot": 1}})
        said = self.deploy("down", "full", "bad=router", "good=registry", code=1)
        table = said[said.index("HOST "):]
        self.assertRegex(table, r"\ndown +not copied +ssh: connect to host down port 22: No route to host\n")
        self.assertRegex(table, r"\nfull +not copied +rsync: write failed: No space left")
        self.assertRegex(table, r"\nbad +not ready ")
        self.assertRegex(table, r"\ngood +started +registry: ready: ")
        self.assertIn("all that bad said:\n", said)
        self.assertIn("unknown key 'router.prot'", said)
        self.assertNotIn("all that good said", said)
        self.assertEqual(self.home.daemons(), {"infinilm-registry": 1})

    def test_dry_run_does_nothing(self):
        self.add_hosts("head")
        said = self.deploy("head=registry", "down", "--dry-run", "--remote-dir", "/srv/in fini")
        self.assertEqual(self.calls(), [])
        self.assertEqual(list((self.hosts / "head").iterdir()), [])
        self.assertEqual([line for line in said.splitlines() if line.endswith(":")], ["head:", "down:"])
        self.assertIn("  ssh -o BatchMode=yes ", said)
        self.assertIn("  rsync --archive ", said)
        self.assertIn("--parts", said)

    def test_remote_folder_may_have_blanks_and_the_host_knows_its_parts(self):
        self.add_hosts("head")
        self.addCleanup(self.stop, "head", "in fini")
        self.home.write_json("server1_services.json", {"services": [{"name": "x", "host": "192.0.2.9", "port": 5001}]})
        self.deploy("head", "--remote-dir", "in fini")
        self.assertEqual(self.home.daemons(), {"infinilm-registry": 1, "infinilm-router": 1})
        self.assertTrue((self.hosts / "head" / "in fini" / "logs" / "distributed_router.log").exists())

    def test_words_that_are_no_hosts_are_refused(self):
        for word in ("-oProxyCommand=x", "a b", "h=registry;reboot", "h=x", "$(x)", "h/../x"):
            self.assertIn("deploy_services.sh: ", self.deploy("--", word, code=2))
        self.assertEqual(self.calls(), [])

    def test_what_is_missing_here_is_said(self):
        tools = self.folder / "few"
        tools.mkdir()
        for name in ("bash", "basename", "dirname", "readlink", "env"):
            (tools / name).symlink_to(f"/usr/bin/{name}")
        said = self.deploy("head", code=1, env=self.home.environment(PATH=str(tools)))
        self.assertIn("deploy-remote needs ssh, which is not installed", said)

    def test_script_is_the_one_that_is_copied(self):
        self.add_hosts("head")
        self.addCleanup(self.stop, "head")
        self.deploy("head=registry")
        copied = self.hosts / "head" / "infinilm" / "scripts" / "deploy_services.sh"
        self.assertEqual(copied.read_bytes(), (SOURCE_DIR / "scripts" / "deploy_services.sh").read_bytes())


if __name__ == "__main__":
    main()
