"""Add what is private to this machine and say what comes next."""

import os
import sys

# Else modules come from where cookiecutter put this: the folder for temporary files, which anybody may write into.
sys.path[0] = os.path.join(r"""{{ template_root }}""", "hooks")
import json

from ds_docker_env import generation

answers = json.loads(r"""{{ cookiecutter | tojson }}""")
# cookiecutter leaves it there, with all answers.
os.remove(__file__)
sys.exit(generation.finish(answers, json.loads(r"""{{ cookiecutter | base_image | tojson }}""")))
