"""Add what is private to this machine and say what comes next."""

import json
import os
import sys

answers = json.loads(r"""{{ cookiecutter | tojson }}""")
sys.path.insert(0, os.path.join(r"""{{ template_root }}""", "hooks"))

# cookiecutter leaves it, with all answers, in the folder for temporary files.
os.remove(__file__)

from ds_docker_env import generation  # noqa: E402

sys.exit(generation.finish(answers, json.loads(r"""{{ cookiecutter | base_image | tojson }}""")))
