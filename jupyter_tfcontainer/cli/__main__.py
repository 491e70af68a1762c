"""``python -m jupyter_tfcontainer.cli``."""

import sys

from . import main

sys.exit(main())
