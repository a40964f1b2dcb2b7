# SPDX-License-Identifier: Apache-2.0
"""The README's first command shows the whole loop; its own checks fail it otherwise."""

import re
import subprocess
import tempfile

from stack import BIN, ROOT


def test_quickstart_tells_the_whole_story():
    with tempfile.TemporaryDirectory(prefix="mb-", dir="/tmp") as folder:
        done = subprocess.run(
            [ROOT / "scripts/quickstart", "--no-install", "--bin", BIN, "--dir", f"{folder}/local", "--gateway-port", "0",
             "--inference-port", "0", "--down"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240)
        assert done.returncode == 0, done.stdout
        for word in ["ModelTrained", "ModelRegistered", "AliasMoved", "ModelDeployed", "ModelLoaded", "ModelLoadFailed",
                     "RolledBack"]:
            assert re.search(rf"ms  {word}", done.stdout), f"{word} is missing:\n{done.stdout}"
        served = re.search(r"requests  (\d+) served .*, (\d+) failed", done.stdout)
        assert served and int(served[1]) > 100 and int(served[2]) == 0, done.stdout
