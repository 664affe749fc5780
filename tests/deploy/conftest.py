"""What the tests of the manifests and of the Compose stack share, beside them and in its folder."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[2] / "deploy" / "compose"))
