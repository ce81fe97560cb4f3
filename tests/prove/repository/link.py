"""Put a checkout on the path of the interpreter that runs this: what asv calls instead of building a wheel."""

import sys
import sysconfig
from pathlib import Path

Path(sysconfig.get_path("purelib"), "speed.pth").write_text(sys.argv[1] + "\n")
