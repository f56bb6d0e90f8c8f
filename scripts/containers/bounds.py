"""What no container may do."""

from .engine import containers, run


class Bounds:
    """What every container may not do, asked of the engine and of the kernel."""

    def test_no_container_may_do_more_than_its_work(self):
        for service, container in containers().items():
            with self.subTest(service):
                self.assert_bounded(container)

    def assert_bounded(self, container: dict):
        host = container["HostConfig"]
        self.assertNotIn(container["Config"]["User"].split(":")[0], ("", "0", "root"))
        self.assertTrue(host["ReadonlyRootfs"])
        self.assertEqual((host["Privileged"], host["CapDrop"], host["CapAdd"] or []), (False, ["ALL"], []))
        self.assertIn("no-new-privileges", host["SecurityOpt"][0])
        self.assertNotIn("unconfined", " ".join(host["SecurityOpt"]))
        self.assertTrue(0 < (host["PidsLimit"] or 0) <= 4096, host["PidsLimit"])
        self.assertEqual((host["PidMode"], host["Devices"] or []), ("", []))
        self.assertNotIn("host", (host["NetworkMode"], host["IpcMode"]))
        for options in host["Tmpfs"].values():
            self.assertIn("size=", options)
        for mount in container["Mounts"]:
            self.assertTrue(mount["Type"] == "volume" or not mount["RW"], mount)

        status = dict(line.split(":", 1) for line in run("docker", "exec", container["Id"], "cat", "/proc/1/status").splitlines())
        for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[capabilities], 16), 0, capabilities)
        self.assertEqual((status["NoNewPrivs"].strip(), status["Seccomp"].strip()), ("1", "2"))
        self.assertNotIn("0", status["Uid"].split())
        for directory in ("/", "/etc", "/usr/bin", "/data", "/etc/prometheus", "/etc/elasticore-nginx"):
            probe = f"[ ! -e {directory} ] || ! touch {directory}/probe 2>/dev/null || echo {directory} can be written"
            self.assertEqual(run("docker", "exec", container["Id"], "sh", "-c", probe), "")
