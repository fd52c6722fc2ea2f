"""Add what is private to this machine and say what comes next."""

import os
import sys

# cookiecutter leaves it, with all answers, in the folder for temporary files, where modules of anybody may be, too.
os.remove(__file__)
sys.path[0] = r"""{{ template_root }}"""
import json

from ds_docker_env.generation import events

answers = json.loads(r"""{{ cookiecutter | for_hooks | tojson }}""")
sys.exit(events.finish(answers, json.loads(r"""{{ cookiecutter | base_image | tojson }}""")))
